"""Compute the scores of pyDVL: influence by each of its models, and its exact values by retraining on a stored table."""

import torch
from problem import Run, loaders, main
from pydvl.influence.torch import (
    ArnoldiInfluence,
    CgInfluence,
    DirectInfluence,
    EkfacInfluence,
    InverseHarmonicMeanInfluence,
    LissaInfluence,
    NystroemSketchInfluence,
)
from pydvl.influence.torch.influence_function_model import SecondOrderMode
from torch import nn


def influence(kind):
    """Return a function of a truth and options that computes scores with an influence model."""

    def scores(truth, batch, dtype, regularization, second_order_mode="hessian", queries_at_once=None, **more):
        model, (training, _) = truth.network(dtype), loaders(truth, batch, dtype)
        X, y, X_query, y_query = truth.data(dtype)
        value = {"l2": truth.penalty, "0": 0.0}[regularization]
        if kind is EkfacInfluence:
            if not truth.classes:
                model, y, y_query = TwoClasses(model), y[:, 0].long(), y_query[:, 0].long()
                training = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), batch or truth.n)
            method = kind(model, hessian_regularization=value, **more)
        else:
            if kind is not InverseHarmonicMeanInfluence:
                more["second_order_mode"] = SecondOrderMode[second_order_mode.upper()]
            if "rank" in more:
                more["rank"] = {"P": truth.n_params, "P - 2": truth.n_params - 2}[more["rank"]]
            method = kind(model, truth.loss("mean"), regularization=value, **more)
        method = method.fit(training)
        step = queries_at_once or len(X_query)
        parts = [method.influences(X_query[k : k + step], y_query[k : k + step], X, y) for k in range(0, len(X_query), step)]
        return torch.cat(parts)

    return scores


class TwoClasses(nn.Module):
    """The same model, with the outputs (0, f) in place of the logit f, for a loss that wants one output per class."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        logit = self.model(x)
        return torch.cat([torch.zeros_like(logit), logit], dim=-1)


DIRECT = (
    "Given a model and training data, it finds x such that Hx = b, with H being the model hessian or Gauss-Newton matrix.",
    "docstring of DirectInfluence",
)
CG = ("it uses conjugate gradient to calculate the inverse of the Hessian Vector Product", "docstring of CgInfluence")
LISSA = (
    "Uses LISSA, Linear time Stochastic Second-Order Algorithm, to iteratively approximate the inverse Hessian.",
    "docstring of LissaInfluence",
)
ARNOLDI = (
    "Solves the linear system Hx = b, where H is the Hessian of the model's loss function",
    "docstring of ArnoldiInfluence",
)
EKFAC = (
    "Approximately solves the linear system Hx = b, where H is the Hessian of a model with the empirical categorical cross "
    "entropy as loss function",
    "docstring of EkfacInfluence",
)
NYSTROEM = ("it uses a low-rank approximation of the Hessian", "docstring of NystroemSketchInfluence")
HARMONIC = (
    "replaces the inverse Hessian matrix in the influence computation with an approximation of the inverse Gauss-Newton vector "
    "product",
    "docstring of InverseHarmonicMeanInfluence",
)


def runs():
    for batch, dtype in ((None, "float64"), (4, "float64"), (None, "float32")):
        options = {"batch": batch, "dtype": dtype, "regularization": "l2"}
        yield Run("DirectInfluence", influence(DirectInfluence), options, "loss", *DIRECT)
        yield Run(
            "DirectInfluence", influence(DirectInfluence), {**options, "second_order_mode": "gauss_newton"}, "loss", *DIRECT
        )
        yield Run("CgInfluence", influence(CgInfluence), {**options, "rtol": 1e-12, "atol": 1e-14}, "loss", *CG)
    full = {"batch": None, "dtype": "float64", "regularization": "l2"}
    yield Run("CgInfluence", influence(CgInfluence), {**full, "rtol": 1e-12, "atol": 1e-14, "queries_at_once": 1}, "loss", *CG)
    yield Run("CgInfluence", influence(CgInfluence), full, "loss", *CG)
    more = {"maxiter": 5000, "rtol": 1e-12}
    yield Run("LissaInfluence", influence(LissaInfluence), {**full, **more}, "loss", *LISSA)
    yield Run("ArnoldiInfluence", influence(ArnoldiInfluence), {**full, "rank": "P - 2"}, "loss", *ARNOLDI)
    yield Run("NystroemSketchInfluence", influence(NystroemSketchInfluence), {**full, "rank": "P"}, "loss", *NYSTROEM)
    yield Run("InverseHarmonicMeanInfluence", influence(InverseHarmonicMeanInfluence), full, "loss", *HARMONIC)
    for dtype in ("float64", "float32"):
        for update in (False, True):
            options = {**full, "dtype": dtype, "update_diagonal": update}
            yield Run("EkfacInfluence", influence(EkfacInfluence), options, "loss", *EKFAC)


main("pyDVL", list(runs()), ("logistic_spector", "two_moons_converged"))
