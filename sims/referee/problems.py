"""Name the problems whose truths anyone can write to files: small models of several kinds of which everything is known.

Each is a problem of the experiments, with its seeds. To add one, add it to `PROBLEMS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sims.experiments.shared.digits import CONVERGED, NETWORK, SOFTMAX_IRIS, YOUNG
from sims.experiments.shared.problem import Option, Problem
from sims.referee.truth import Truth
from sims.retrain import engine

__all__ = ["PROBLEMS", "NamedProblem"]


@dataclass(frozen=True)
class NamedProblem:
    """A problem, the number of its seeds, and what it is in words. With `n_drawn`, as many subsets are drawn instead of all."""

    problem: Problem
    what: str
    n_seeds: int = 1
    n_drawn: int | None = None

    def truth(self, name: str, *, executor: engine.Executor | int | None = None, progress: bool = False) -> Truth:
        """Compute its truth."""
        learner = self.problem.build()
        return Truth.of(
            learner,
            range(self.n_seeds),
            y_query=self.problem.load().y_query,
            name=name,
            most_exact=learner.n_points if self.n_drawn is None else 0,
            n_retrainings=self.n_drawn,
            executor=executor,
            progress=progress,
        )


_MLP: dict[str, Option] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}
_MOONS, _XOR = (Problem(data, "mlp", n_points=8, options=_MLP.items()) for data in ("two_moons", "xor"))


def _fair(n_points: int) -> Problem:
    return Problem("fair", "logistic", n_points=n_points, l2=0.01)


PROBLEMS: Mapping[str, NamedProblem] = MappingProxyType(
    {
        "ridge_longley": NamedProblem(Problem("longley", "least_squares", l2=0.1), "ridge regression, nearly collinear columns"),
        "logistic_spector": NamedProblem(Problem("spector", "logistic", l2=0.1), "logistic regression, 16 students"),
        "softmax_iris": NamedProblem(SOFTMAX_IRIS, "softmax regression, three species"),
        "two_moons_young": NamedProblem(_MOONS.changed(steps=20), "network 2-4-1 after 20 steps", 8),
        "two_moons_converged": NamedProblem(_MOONS.changed(steps=10_000), "network 2-4-1 after 10,000 steps", 8),
        "xor_young": NamedProblem(_XOR.changed(steps=20), "network 2-4-1 after 20 steps", 8),
        "xor_converged": NamedProblem(_XOR.changed(steps=10_000), "network 2-4-1 after 10,000 steps", 8),
        "digits_young": NamedProblem(NETWORK.changed(steps=YOUNG), "network 16-16-3 after 10 steps, three digits", 4),
        "digits_converged": NamedProblem(NETWORK.changed(steps=CONVERGED), "network 16-16-3 after 300 steps, three digits", 4),
        "fair_200": NamedProblem(_fair(200), "logistic regression, 200 women", n_drawn=20_000),
        "fair_2000": NamedProblem(_fair(2000), "logistic regression, 2,000 women", n_drawn=32_000),
    }
)
"""The named problems."""
