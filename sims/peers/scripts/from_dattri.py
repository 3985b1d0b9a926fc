"""Compute the scores of dattri: influence by its five inverses, TracIn and TRAK."""

import torch
from dattri.algorithm.influence_function import (
    IFAttributorArnoldi,
    IFAttributorCG,
    IFAttributorDataInf,
    IFAttributorEKFAC,
    IFAttributorExplicit,
    IFAttributorLiSSA,
)
from dattri.algorithm.tracin import TracInAttributor
from dattri.algorithm.trak import TRAKAttributor
from dattri.task import AttributionTask
from problem import Run, loaders, main


def task_of(truth, dtype, target):
    """Return the task: the mean loss of a batch, and the loss or the margin of the queries."""
    model, loss = truth.network(dtype), truth.loss("mean")

    def mean_loss(params, data):
        return loss(torch.func.functional_call(model, params, data[0]), data[1])

    def margin(params, data):
        return truth.margins(torch.func.functional_call(model, params, data[0]), data[1]).mean()

    return AttributionTask(mean_loss, model, model.state_dict(), target_func=margin if target == "margin" else None)


def influence(kind):
    """Return a function of a truth and options that computes scores with an attributor."""

    def scores(truth, batch, dtype, regularization, target="loss", **more):
        training, queries = loaders(truth, batch, dtype)
        value = {"l2": truth.penalty, "0": 0.0}[regularization]
        name = {IFAttributorEKFAC: "damping", IFAttributorLiSSA: "damping"}.get(kind, "regularization")
        attributor = kind(task_of(truth, dtype, target), **{name: value}, **more)
        attributor.cache(training)
        return attributor.attribute(training, queries)

    return scores


def tracin(truth, batch, dtype, normalized_grad):
    training, queries = loaders(truth, batch, dtype)
    return TracInAttributor(task_of(truth, dtype, "loss"), torch.ones(1), normalized_grad).attribute(training, queries)


def trak(truth, batch, dtype, regularization):
    training, queries = loaders(truth, batch, dtype)
    model, loss = truth.network(dtype), truth.loss("mean")

    def margin(params, data):
        return truth.margins(torch.func.functional_call(model, params, data[0]), data[1]).mean()

    def probability(params, data):
        return torch.exp(-loss(torch.func.functional_call(model, params, data[0][None]), data[1][None]))

    task = AttributionTask(margin, model, model.state_dict())
    kwargs = {"device": "cpu", "proj_max_batch_size": 32}
    attributor = TRAKAttributor(task, probability, projector_kwargs=kwargs, regularization=regularization)
    attributor.cache(training)
    return attributor.attribute(queries)


EXPLICIT = (
    "Ideally, the batch size of the dataloader should be the same as the number of training samples to get the best accuracy for "
    "some attributors. Smaller batch size may lead to a less accurate result but lower memory consumption.",
    "docstring of BaseInnerProductAttributor.cache; IFAttributorExplicit: 'with explicit inverse hessian transformation'",
)
CG = ("Convergence tolerance. Algorithm stops if residual norm < tol. Default is 1e-7.", "docstring of IFAttributorCG, tol")
EKFAC = (
    "The inner product attributor with EK-FAC inverse FIM transformation; the loss function of the task: 'The FIM will be "
    "estimated on this function.'",
    "docstring of IFAttributorEKFAC",
)
ARNOLDI = ("The inner product attributor with Arnoldi projection transformation.", "docstring of IFAttributorArnoldi")
DATAINF = ("The inner product attributor with DataInf inverse hessian transformation.", "docstring of IFAttributorDataInf")
LISSA = ("Scaling factor for convergence in LiSSA IHVP calculation.", "docstring of IFAttributorLiSSA, scaling")
TRACIN = (
    'The weight used for the "weighted sum". For TracIn/CosIn, this will contain a list of learning rates at each ckpt; for '
    "Grad-Dot/Grad-Cos, this will be a list of ones.",
    "docstring of TracInAttributor, weight_list",
)
TRAK = ("TRAK attributor.", "docstring of TRAKAttributor")


def runs():
    for target in ("loss", "margin"):
        for batch, dtype in ((None, "float64"), (8, "float64"), (4, "float64"), (2, "float64"), (None, "float32")):
            options = {"batch": batch, "dtype": dtype, "regularization": "l2"}
            more = {"target": target} if target == "margin" else {}
            yield Run("IFAttributorExplicit", influence(IFAttributorExplicit), {**options, **more}, target, *EXPLICIT)
            if target == "loss":
                yield Run("IFAttributorCG", influence(IFAttributorCG), {**options, "max_iter": 100}, target, *CG)
            yield Run("IFAttributorEKFAC", influence(IFAttributorEKFAC), {**options, **more}, target, *EKFAC)
    full = {"batch": None, "dtype": "float64", "regularization": "l2"}
    yield Run("IFAttributorCG", influence(IFAttributorCG), full, "loss", *CG)
    yield Run("IFAttributorCG", influence(IFAttributorCG), {**full, "max_iter": 3}, "loss", *CG)
    for dtype in ("float64", "float32"):
        options = {**full, "dtype": dtype}
        yield Run("IFAttributorArnoldi", influence(IFAttributorArnoldi), options, "loss", *ARNOLDI)
        yield Run("IFAttributorDataInf", influence(IFAttributorDataInf), options, "loss", *DATAINF)
        yield Run("IFAttributorLiSSA", influence(IFAttributorLiSSA), {**options, "recursion_depth": 500}, "loss", *LISSA)
    for normalized in (False, True):
        yield Run("TracInAttributor", tracin, {"batch": None, "dtype": "float64", "normalized_grad": normalized}, "loss", *TRACIN)
    for regularization in (0.0, 0.01):
        options = {"batch": None, "dtype": "float32", "regularization": regularization}
        yield Run("TRAKAttributor", trak, options, "margin", *TRAK)


main("dattri", list(runs()))
