"""The module changes the cases of an experiment from outside: their fields, the options of their learner, the whole problem.

Every change ends as a config, so that a changed case runs, is stored and is drawn as any other. Its name says what differs from
the cases that the experiment has itself.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import Any, get_type_hints

from sims import datasets
from sims.experiments.shared.experiment import Experiment, with_problems
from sims.experiments.shared.problem import Option, Problem, learner_class, learner_options, listed, meant
from sims.experiments.shared.settings import OPTIONS, Setting, changed_fields, option_value, settings_of
from sims.experiments.shared.user_cases import CONVEX, NETWORKS
from theory.storage.results import file_name

__all__ = ["Changes", "case_name", "changed_cases", "problem_settings", "read_problem", "settable"]


@dataclass(frozen=True)
class Changes:
    """What the user changes in an experiment: settings as (name, text), the problem DATA:N:LEARNER, the number of points."""

    settings: tuple[tuple[str, str], ...] = ()
    problem: str | None = None
    points: int | None = None

    def __bool__(self) -> bool:
        return bool(self.settings) or self.problem is not None or self.points is not None

    def __str__(self) -> str:
        named = {"problem": self.problem, "points": self.points}
        return " ".join([*(f"{k}={v}" for k, v in named.items() if v is not None), *(f"{k}={v}" for k, v in self.settings)])


problem_settings: Mapping[str, Setting] = {
    name: Setting(field, name, int | None if field == "n_queries" else int, default, text, within)
    for name, field, default, text, within in (
        ("queries", "n_queries", None, "keeps only the first queries, to save time", "[1, inf)"),
        ("data_seed", "data_seed", 0, "draws other points, for data sets that are drawn", "[0, inf)"),
    )
}
"""What can be set in every problem, beside the options of its learner."""


def changed_cases(experiment: Experiment, changes: Changes, *, small: bool = False) -> tuple[list[Any], list[str]]:
    """Return the changed cases of an experiment, each once, and for every case that is left out a line with the reason.

    Raises ValueError, before anything is computed, for a name or a value that no case can have, and for a problem that the
    experiment cannot run.
    """
    cases: Sequence[Any] = experiment.small if small else experiment.cases
    if changes.problem is not None:
        cases = (_with_problem(experiment, cases, changes.problem, changes.points, small),)
    _require_known(experiment, cases, changes.settings)
    found, left_out = list[Any](), list[str]()
    for config in cases:
        try:
            changed = _set(experiment, config, changes.settings)
            if changes.points is not None and changes.problem is None:
                changed = experiment.resize(changed, changes.points)
                changed = _set(experiment, changed, changes.settings)  # a field that was set is not what resizing makes of it
            _require_runs(experiment, changed)
        except _BadValueError:
            raise
        except ValueError as error:
            if changes.problem is not None:
                raise ValueError(f"{experiment.name}: {error}") from None
            left_out.append(f"{config.problem.name} left out: {error}")
            continue
        changed = _own_if_equal(experiment, changed)
        if changed not in found:
            found.append(changed)
    return found, left_out


def _own_if_equal(experiment: Experiment, config: Any) -> Any:
    """Return the case of the experiment that is the same but for a number of points that is only written down in one of them."""
    sized = _explicit(config)
    return next((case for case in (*experiment.cases, *experiment.small) if _explicit(case) == sized), config)


def _explicit(config: Any) -> Any:
    """Return the config with the number of points of every problem written down."""
    return with_problems(config, lambda problem: replace(problem, n_points=problem.size))


def case_name(experiment: Experiment, config: Any) -> str:
    """Return the name of a case, which differs from that of every other case of the experiment with another config.

    A case of the experiment has the name of its problem. Any other adds what differs from the case with the same problem; where
    there is none, from the first with the same data set and learner, else with the same learner, else from the first. It is
    shortened to a digest where it is too long for a file.
    """
    name = config.problem.name
    reference = _most_alike(config.problem, (*experiment.cases, *experiment.small))
    if config in experiment.cases:
        return name
    queries = config.problem.n_queries
    parts = [
        "" if queries == reference.problem.n_queries else f"queries={queries or 'all'}",
        changed_fields(config, reference),
    ]
    said = " ".join(part for part in parts if part)
    if not said:
        return name
    whole = f"{name} {said}"
    if len(file_name(whole)) <= _LONGEST:
        return whole
    return f"{name} changed {hashlib.sha256(said.encode()).hexdigest()[:12]}"


_LONGEST = 120  # characters of a file name, which may have up to 255 with the name of a part


def _most_alike(problem: Any, cases: Sequence[Any]) -> Any:
    name = problem.name

    def likeness(case: Any) -> tuple[bool, bool, bool]:
        other = case.problem
        learner = other.learner == problem.learner
        return other.name == name, learner and other.label == problem.label, learner

    return max(cases, key=likeness)  # the first of those that are equally alike


def settable(experiment: Experiment, config: Any) -> dict[str, Mapping[str, Setting]]:
    """Return what can be set in a case under headings: the experiment, the problem, the options of its learner."""
    own = settings_of(config)
    learner = config.problem.learner
    kinds, values = get_type_hints(learner_class(learner)), dict(config.problem.options)
    options = {
        name: Setting(name, name, kinds[name], values.get(name, _default(field)), OPTIONS.get(name, ""))
        for name, field in learner_options(learner).items()
        if name not in own and name not in experiment.varies
    }
    return {"experiment": own, "problem": problem_settings, learner: options}


def _default(field: Field[Any]) -> Any:
    """Return the default of a field, or an empty text."""
    return "" if field.default is MISSING else field.default


def read_problem(text: str) -> tuple[str, int | None, str]:
    """Read DATA:N:LEARNER or DATA:LEARNER; raise ValueError that says which of them is wrong.

    >>> read_problem("fair:24:logistic"), read_problem("xor:mlp")
    (('fair', 24, 'logistic'), ('xor', None, 'mlp'))
    """
    parts = [part.strip() for part in text.split(":")]
    if len(parts) not in (2, 3):
        raise ValueError(f"problem {text!r}, expected DATA:N:LEARNER, such as fair:24:logistic, or DATA:LEARNER")
    data, learner = parts[0], parts[-1]
    if data not in datasets.names():
        raise ValueError(f"data set {meant(data, datasets.names())} The data sets are {listed(datasets.names())}")
    learner_class(learner)
    if len(parts) == 2:
        return data, None, learner
    if not parts[1].isascii() or not parts[1].isdigit() or int(parts[1]) == 0:
        raise ValueError(f"problem {text!r}: {parts[1]!r} points, expected a whole number of at least 1")
    return data, int(parts[1]), learner


class _BadValueError(ValueError):
    """A value that no case can have."""


def _with_problem(experiment: Experiment, cases: Sequence[Any], text: str, points: int | None, small: bool) -> Any:
    """Return the case for a problem: the first case with its learner on the other data, or that for a user's own problem.

    A network with one output per class is moved to data of several classes only, and no other network is.
    """
    data, n_points, learner = read_problem(text)
    if n_points is not None and points is not None and n_points != points:
        raise ValueError(f"problem {text!r} and --points {points} differ: leave out one of the two numbers")
    n = points if n_points is None else n_points
    for case in cases:
        if case.problem.learner == learner and (learner not in NETWORKS or _for_classes(case.problem) == _has_classes(data)):
            moved = with_problems(case, lambda problem: replace(problem, data=data, data_seed=0))
            own = case.problem.size
            return with_own_points(moved, own) if n in (None, own) else experiment.resize(moved, n)
    mine = sorted({case.problem.learner for case in cases})
    if experiment.user_case is None or learner not in (*CONVEX, *NETWORKS):
        raise ValueError(f"{experiment.name} is for {listed(mine)}, not for {learner}")
    problem = _default_problem(data, learner, n)
    found = experiment.user_case(replace(problem, n_points=problem.size), small)
    if isinstance(found, str):
        raise ValueError(f"{experiment.name} {found.replace('--learner ', '')}")
    return found[0] if isinstance(found, tuple) else found


def _for_classes(problem: Problem) -> bool:
    return dict(problem.options).get("loss") == "softmax"


def _has_classes(data: str) -> bool:
    return datasets.by_name(data).has_classes


def with_own_points(config: Any, n_points: int) -> Any:
    """Return the config with the number of points of its template, which its fields suit; unset where that is the default."""
    return with_problems(config, lambda problem: problem if problem.n_points else _sized(problem, n_points))


def _sized(problem: Problem, n_points: int) -> Problem:
    return problem if problem.size == n_points else replace(problem, n_points=n_points)


def _default_problem(data: str, learner: str, n_points: int | None) -> Problem:
    """Return a learner with the penalty and rate that most experiments use, as `user_problem` does for a user's own data."""
    if learner in CONVEX:
        return Problem(data, learner, l2=0.1, n_points=n_points)
    two = set(datasets.by_name(data, n_points).y.tolist()) <= {0.0, 1.0}
    loss, rate = ("softmax", 0.5) if _has_classes(data) else ("logistic", 0.5) if two else ("squared", 0.1)
    return Problem(data, learner, hidden=(4,), loss=loss, l2=0.01, learning_rate=rate, n_points=n_points)


def _require_known(experiment: Experiment, cases: Sequence[Any], settings: Sequence[tuple[str, str]]) -> None:
    """Raise ValueError for a name that no case has, with what it may have meant and the list of what can be set."""
    for name, _ in settings:
        if name in ("n_points", "points"):
            raise ValueError("the number of training points is set by --points N")
        known = {key for config in cases for part in settable(experiment, config).values() for key in part}
        if name in known:
            continue
        if name in experiment.varies:
            raise ValueError(f"{experiment.name} sets {name} of the learner itself: set {experiment.varies[name]}")
        short = {setting.short for config in cases for part in settable(experiment, config).values() for setting in part.values()}
        raise ValueError(f"{experiment.name} has no setting {meant(name, known)} To be set are {listed(sorted(short))}")


def _set(experiment: Experiment, config: Any, settings: Sequence[tuple[str, str]]) -> Any:
    """Return the config with everything set; raise ValueError if its learner does not have one of the options."""
    own = settings_of(config)
    for name, text in settings:
        if name in own:
            config = _with_field(config, own[name], _read(own[name], text))
        elif name in problem_settings:
            setting = problem_settings[name]
            value = _read(setting, text)
            config = with_problems(config, lambda problem, s=setting, v=value: replace(problem, **{s.name: v}))
        else:
            config = _with_option(config, name, text)
    return config


def _read(setting: Setting, text: str) -> Any:
    try:
        return setting.read(text)
    except ValueError as error:
        raise _BadValueError(str(error)) from None


def _with_field(config: Any, setting: Setting, value: Any) -> Any:
    if setting.part:
        return replace(config, **{setting.part: replace(getattr(config, setting.part), **{setting.name: value})})
    return replace(config, **{setting.name: value})


def _with_option(config: Any, name: str, text: str) -> Any:
    """Set an option in every problem whose learner has it; the learner of the case must have it."""
    if name not in learner_options(config.problem.learner):
        raise ValueError(f"{config.problem.learner} has no option {name!r}")
    try:
        value: Option = option_value(config.problem.learner, name, text)
    except ValueError as error:
        raise _BadValueError(str(error)) from None
    return with_problems(config, lambda p: p.changed(**{name: value}) if name in learner_options(p.learner) else p)


def _require_runs(experiment: Experiment, config: Any) -> None:
    """Raise ValueError where the learner cannot be built, or has too many points for all their subsets."""
    n = config.problem.size
    most = experiment.most_points(config)
    if most is not None and n > most:
        raise ValueError(
            f"it retrains on all 2^N subsets, and N = {n} is more than {most}: take fewer points, or an experiment that draws "
            "subsets, such as lds or scale_at_size"
        )
    if reason := experiment.why_not(config):
        raise ValueError(reason)
    for field in fields(config):
        if isinstance(problem := getattr(config, field.name), Problem):
            problem.build()
