"""Compute the scores of captum: influence with an explicit Hessian, by Arnoldi iteration, and TracInCP."""

import torch
from captum.influence import TracInCP
from captum.influence._core.arnoldi_influence_function import ArnoldiInfluenceFunction
from captum.influence._core.influence_function import NaiveInfluenceFunction
from problem import Run, main


def influence(truth, kind, batch, dtype, hessian_reg, **more):
    """Return the influence on the losses, (test, train)."""
    model = truth.network(dtype)
    torch.save(model.state_dict(), "checkpoint.pt")
    if hessian_reg is not None:
        more["hessian_reg"] = {"N l2": truth.n * truth.penalty, "l2": truth.penalty}[hessian_reg]
    tolerance = more.pop("tolerance", None)
    if tolerance is not None:
        more["hessian_inverse_tol"] = tolerance
        if kind is ArnoldiInfluenceFunction:
            more["arnoldi_tol"] = tolerance
    method = kind(
        model,
        truth.training(dtype),
        "checkpoint.pt",
        loss_fn=truth.loss("none"),
        batch_size=batch or truth.n,
        show_progress=False,
        **more,
    )
    _, _, X, y = truth.data(dtype)
    return method.influence((X, y))


def naive(truth, **options):
    return influence(truth, NaiveInfluenceFunction, **options)


def arnoldi(truth, **options):
    return influence(truth, ArnoldiInfluenceFunction, **options)


def tracin(truth, batch, dtype, reduction):
    """Return TracInCP from the trained model alone with learning rate 1, on the losses."""
    model = truth.network(dtype)
    torch.save(model.state_dict(), "checkpoint.pt")

    def load(module, path):
        module.load_state_dict(torch.load(path))
        return 1.0

    method = TracInCP(
        model,
        truth.training(dtype),
        ["checkpoint.pt"],
        load,
        loss_fn=truth.loss(reduction),
        batch_size=batch or truth.n,
        sample_wise_grads_per_batch=reduction != "none",
    )
    _, _, X, y = truth.data(dtype)
    return method.influence((X, y))


INFLUENCE = (
    'generate the "ground-truth" influence scores, to which other implementations, which are more efficient but return only '
    "approximations of the influence score, can be compared",
    "docstring of NaiveInfluenceFunction",
)
ARNOLDI = (
    "the influence score is given by nabla L(x)' H^{-1} nabla L(z), which is approximated by (nabla L(x)' R) (nabla L(z)' R)",
    "docstring of ArnoldiInfluenceFunction",
)
TRACIN = (
    "influence score is accumulated via a summed dot-product of gradient vectors",
    "comment at the head of captum/influence/_core/tracincp.py",
)


main(
    "captum",
    [
        Run("NaiveInfluenceFunction", naive, {"batch": batch, "dtype": dtype, "hessian_reg": reg, **more}, "loss", *INFLUENCE)
        for batch, dtype, reg, more in (
            (None, "float64", "N l2", {"tolerance": 1e-8}),
            (4, "float64", "N l2", {"tolerance": 1e-8}),
            (1, "float64", "N l2", {"tolerance": 1e-8}),
            (None, "float32", "N l2", {"tolerance": 1e-8}),
            (None, "float64", "N l2", {}),
            (None, "float64", "l2", {}),
            (None, "float64", None, {}),
        )
    ]
    + [
        Run("ArnoldiInfluenceFunction", arnoldi, {"batch": batch, "dtype": dtype, "hessian_reg": reg, **more}, "loss", *ARNOLDI)
        for batch, dtype, reg, more in (
            (None, "float64", "N l2", {"tolerance": 1e-8}),
            (4, "float64", "N l2", {"tolerance": 1e-8}),
            (None, "float32", "N l2", {"tolerance": 1e-8}),
            (None, "float64", None, {}),
        )
    ]
    + [
        Run("TracInCP", tracin, {"batch": batch, "dtype": dtype, "reduction": reduction}, "loss", *TRACIN)
        for batch, dtype, reduction in (
            (None, "float64", "none"),
            (None, "float64", "sum"),
            (4, "float64", "mean"),
            (None, "float32", "none"),
        )
    ],
)
