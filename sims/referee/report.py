"""Define Report, what the judge says of scores: orientation, sign, scale, what they estimate, how well, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

from sims.referee.truth import Target
from theory.display import Displayed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NAMES", "Finding", "Measure", "Report"]

NAMES = {"D1": "D(1)", "loo": "leave-one-out", "beta": "beta", "shapley": "the Shapley value"}
"""The exact effects as sentences name them."""


@dataclass(frozen=True)
class Finding:
    """A cause by a short name, in a sentence, and what to do; the remedy is "" where nothing is wrong."""

    cause: str
    words: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.words}. {self.remedy[:1].upper()}{self.remedy[1:]}." if self.remedy else f"{self.words}."


@dataclass(frozen=True)
class Measure:
    """How scores compare with one exact effect, with standard errors of the truth: 0 where it has none."""

    slope: float
    relative_error: float
    error_after_scaling: float  # the relative error after the best factor
    pearson: float
    spearman: float
    errors: tuple[float, ...]  # of the five, in this order


@dataclass(frozen=True, repr=False)
class Report(Displayed):
    """The judge's report on scores; `str` of it is what the command line prints.

    `scale` is the slope of the oriented scores on D(1), <S, D> / <D, D>. `factor` and `mismatch` are those of what they
    estimate: the scores are `factor` times it, up to the relative error `mismatch`. `lds` is by inclusion probability p.
    """

    truth: str
    target: Target
    orientation: str  # "train x query" or "query x train"
    sign: int
    scale: float
    estimates: str
    explained: bool
    factor: float
    mismatch: float
    findings: tuple[Finding, ...]
    measures: Mapping[str, Measure]
    lds: Mapping[float, tuple[float, float]]  # p: LDS of the scores times their sign, and that of the best linear predictor

    @property
    def diagnosis(self) -> list[str]:
        """Return the findings as sentences."""
        return [str(finding) for finding in self.findings]

    @property
    def causes(self) -> tuple[str, ...]:
        """Return the short names of what is wrong; none for scores that need no remedy."""
        return tuple(finding.cause for finding in self.findings if finding.remedy)

    @property
    def headline(self) -> str:
        """Return what the scores are in a few words."""
        of = f"{self.factor:.4g} times {NAMES.get(self.estimates, self.estimates)}"
        return f"the scores are {of}" if self.explained else f"the scores are nearest to {of}, {self.mismatch:.2g} off"

    def facts(self) -> dict[str, object]:
        """Return what the scores are, in short."""
        return {
            "truth": self.truth,
            "target": self.target,
            "orientation": self.orientation,
            "estimates": self.estimates,
            "factor": f"{self.factor:.6g}",
            "mismatch": f"{self.mismatch:.2g}",
            "causes": ", ".join(self.causes) or "none",
        }

    def to_xarray(self) -> "xr.Dataset":
        """Return the measures against every exact effect, with their standard errors."""
        import xarray as xr

        names = ("slope", "relative_error", "error_after_scaling", "pearson", "spearman")
        values = {name: [getattr(measure, name) for measure in self.measures.values()] for name in names}
        values |= {f"{name}_error": [m.errors[k] for m in self.measures.values()] for k, name in enumerate(names)}
        return xr.Dataset({name: ("effect", column) for name, column in values.items()}, {"effect": list(self.measures)})

    def to_json(self) -> dict[str, Any]:
        """Return the whole report as plain values; what is undefined is None, since JSON has no NaN."""
        numbers = {"sign": self.sign, "scale": self.scale, "factor": self.factor, "mismatch": self.mismatch}
        return {
            **self.facts(),
            **{name: _plain(x) for name, x in numbers.items()},
            "causes": list(self.causes),
            "diagnosis": self.diagnosis,
            "measures": {name: {key: _plain(x) for key, x in vars(m).items()} for name, m in self.measures.items()},
            "lds": {f"{p:g}": {"scores": _plain(own), "best_linear": _plain(best)} for p, (own, best) in self.lds.items()},
        }

    def __str__(self) -> str:
        lines = [f"scores for {self.truth}, {self.target}: {self.orientation}", *(f"  {line}" for line in self.diagnosis)]
        lines.append(f"  {'against':16}{'slope':>11}{'rel. error':>12}{'after factor':>14}{'Pearson':>9}{'Spearman':>10}")
        for name, m in self.measures.items():
            numbers = (
                f"{m.slope:>11.4g}{m.relative_error:>12.3g}{m.error_after_scaling:>14.3g}{m.pearson:>9.3f}{m.spearman:>10.3f}"
            )
            lines.append(f"  {name:16}{numbers}")
        if self.lds:
            lines.append(f"  {'LDS at p':16}" + "".join(f"{p:>9g}" for p in self.lds))
            lines.append(f"  {'of the scores':16}" + "".join(f"{own:>9.3f}" for own, _ in self.lds.values()))
            lines.append(f"  {'of the best beta':16}" + "".join(f"{best:>9.3f}" for _, best in self.lds.values()))
        return "\n".join(lines)


def _plain(value: float | tuple[float, ...]) -> Any:
    """Return numbers, or a list of them, with None in place of NaN."""
    if isinstance(value, tuple):
        return [_plain(x) for x in value]
    return None if isnan(value) else value
