"""The names that most programs need, in one place: `import dfdw`. Each is imported when it is first used.

>>> import dfdw
>>> learner = dfdw.LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # one point: F(w) = w / (w + 1)
>>> table = dfdw.response_table(learner, seeds=[0]).mean  # F on both subsets: F(0) = 0, F(1) = 1/2
>>> dfdw.optimal_datamodel(table).coefficients.tolist()  # beta = F(1) - F(0)
[[0.5]]
>>> dfdw.weight_derivative(learner, [1.0], seeds=[0]).tolist()  # D(1) = dF/dw at w = 1: the essay's identity fails
[[0.25]]
>>> dfdw.average_derivative(learner, dfdw.Bernoulli(0.5), seeds=[0], nodes=16).round(12).tolist()  # beta = E D: it holds
[[0.5]]

`python -m dfdw` is the command line. Everything else stands in `theory` (mathematics on arrays), `sims` (training and
experiments) and `figures` (pictures of stored results).
"""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sims.datasets import by_name as data_set
    from sims.experiments.shared.experiment import Experiment
    from sims.experiments.shared.problem import Problem
    from sims.experiments.shared.results import read as load_results
    from sims.learners import (
        MLP,
        Bistable,
        Interpolator,
        KernelSum,
        LeastSquares,
        Logistic,
        MovingJump,
        OneStep,
        SoftmaxRegression,
    )
    from sims.learners.adapters import JaxLearner, SklearnLearner, TorchLearner
    from sims.ledger.attributions import attribute
    from sims.ledger.judge import judge_learner
    from sims.referee.files import load_truth
    from sims.referee.judge import judge_scores
    from sims.referee.truth import Truth
    from sims.retrain import response_table, streamed_table
    from sims.testing import check_attribution, check_learner, conformance
    from theory.datamodel import (
        fit_sampled,
        fit_sampled_pairs,
        optimal_datamodel,
        optimal_pair_datamodel,
        quadrature_datamodel,
        streamed_datamodels,
    )
    from theory.derivatives import average_derivative, finite_difference
    from theory.influence import hessian_influence, influence
    from theory.influence.budget import error_budget
    from theory.laws import Bernoulli, BetaShapley, FixedSize, Gaussian, LeaveOneOut, Poisson, Semivalue, Shapley, TwoPoint
    from theory.metrics import compare, lds
    from theory.response import weight_derivative
    from theory.sampling.designs import antithetic, fold_over, for_influence, for_leave_one_out, for_shapley, independent
    from theory.second_derivatives import average_second_derivative
    from theory.values import banzhaf, beta_shapley, leave_one_out, semivalue, shapley

__all__ = [
    "MLP",
    "Bernoulli",
    "BetaShapley",
    "Bistable",
    "Experiment",
    "FixedSize",
    "Gaussian",
    "Interpolator",
    "JaxLearner",
    "KernelSum",
    "LeastSquares",
    "LeaveOneOut",
    "Logistic",
    "MovingJump",
    "OneStep",
    "Poisson",
    "Problem",
    "Semivalue",
    "Shapley",
    "SklearnLearner",
    "SoftmaxRegression",
    "TorchLearner",
    "Truth",
    "TwoPoint",
    "antithetic",
    "attribute",
    "average_derivative",
    "average_second_derivative",
    "banzhaf",
    "beta_shapley",
    "check_attribution",
    "check_learner",
    "compare",
    "conformance",
    "data_set",
    "error_budget",
    "finite_difference",
    "fit_sampled",
    "fit_sampled_pairs",
    "fold_over",
    "for_influence",
    "for_leave_one_out",
    "for_shapley",
    "hessian_influence",
    "independent",
    "influence",
    "judge_learner",
    "judge_scores",
    "lds",
    "leave_one_out",
    "load_results",
    "load_truth",
    "optimal_datamodel",
    "optimal_pair_datamodel",
    "quadrature_datamodel",
    "response_table",
    "semivalue",
    "shapley",
    "streamed_datamodels",
    "streamed_table",
    "weight_derivative",
]


def __getattr__(name: str) -> Any:
    """Import a name of `__all__` from the module that the block above gives for it, once."""
    if name not in __all__:
        raise AttributeError(f"module 'dfdw' has no attribute {name!r}, expected one of {', '.join(__all__)}")
    module, attribute = _homes()[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]


@cache
def _homes() -> dict[str, tuple[str, str]]:
    """Name here -> (module, name there), read from the imports that type checkers see, so that each stands in one place."""
    block = next(node for node in ast.parse(Path(__file__).read_text("utf-8")).body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: (str(node.module), alias.name) for node in imports for alias in node.names}


if __name__ == "__main__":
    from sims.__main__ import main

    main()
