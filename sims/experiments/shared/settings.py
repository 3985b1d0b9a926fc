"""The module says what can be set in an experiment: names, types, defaults, meanings; and reads their values from text."""

import dataclasses
import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from sims.experiments.shared.problem import Option, Problem, learner_class, learner_options, listed, meant

__all__ = ["OPTIONS", "Setting", "changed_fields", "meaning", "option_value", "setting", "settings_of", "shown", "value_of"]


@dataclass(frozen=True)
class Setting:
    """A setting is a field of a config, or of a part of it such as `practice`, that can be set from the command line.

    `short` is another name for it, or the same one. `part` is the field of the config that has it, if that is a part.
    """

    name: str
    short: str
    kind: Any
    default: Any
    text: str
    within: str = ""
    part: str = ""

    @property
    def type_name(self) -> str:
        """Return the type of its values in a word or two, for help texts."""
        origin, arguments = get_origin(self.kind), get_args(self.kind)
        if origin is Literal:
            return "|".join(map(str, arguments))
        if origin in (Union, types.UnionType):
            return dataclasses.replace(self, kind=next(one for one in arguments if one is not type(None))).type_name
        if origin is tuple:
            return f"{_WORDS.get(arguments[0], 'NAME(NUMBER)')},.."
        return _WORDS.get(self.kind, "NAME")

    def read(self, text: str) -> Any:
        """Read a value; raise ValueError that names the setting, what was given and what is expected."""
        value = value_of(self.short, text, self.kind)
        return _require_within(self.short, value, self.within) if self.within else value


def setting(text: str, default: Any = dataclasses.MISSING, *, within: str = "") -> Any:
    """Return a field of a config with the line that explains it, and the interval of its values, such as "(0, 1)".

    A field with "fixed" in its metadata belongs to a case and cannot be set.
    """
    return dataclasses.field(default=default, metadata={"text": text, "within": within})


def settings_of(config: Any) -> dict[str, Setting]:
    """Return what can be set in a config by name; every short name leads to the same setting.

    >>> from sims.experiments.scale import ScaleConfig
    >>> found = settings_of(ScaleConfig(Problem("spector", "logistic", l2=0.1)))
    >>> sorted({setting.short for setting in found.values()}), found["p"] is found["probabilities"]
    (['draws', 'p', 'seeds'], True)
    >>> found["p"].read("0.3,0.6"), found["seeds"].read("0:4")
    ((0.3, 0.6), (0, 1, 2, 3))
    """
    found, hints = list[Setting](), get_type_hints(cast(Any, type(config)))
    names = {field.name for field in dataclasses.fields(config)}
    for field in dataclasses.fields(config):
        value, kind = getattr(config, field.name), hints[field.name]
        if isinstance(value, Problem) or "Problem" in str(kind) or field.metadata.get("fixed"):
            continue
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            holder: Any = type(value)  # type: ignore[reportUnknownVariableType]
            inner = get_type_hints(holder)
            found += [
                _setting(part, inner[part.name], getattr(value, part.name), names, field.name)
                for part in dataclasses.fields(value)
                if part.name not in names
            ]
        else:
            found.append(_setting(field, kind, value, names))
    by_name = {setting.name: setting for setting in found}
    return {**{setting.short: setting for setting in found}, **by_name}


def _setting(field: "dataclasses.Field[Any]", kind: Any, value: Any, names: Iterable[str], part: str = "") -> Setting:
    text, within = meaning(field)
    short = _SHORT.get(field.name, field.name.removeprefix("n_"))
    return Setting(field.name, field.name if short in names else short, kind, value, text, within, part)


def meaning(field: "dataclasses.Field[Any]") -> tuple[str, str]:
    """Return the line that explains a field of a config, and the interval of its values ("" for any).

    They stand in the field's metadata under "text" and "within", or in the list below, for what many experiments have.
    """
    text, within = _MEANINGS.get(field.name, ("", ""))
    return field.metadata.get("text", text), field.metadata.get("within", within)


def changed_fields(config: Any, reference: Any) -> str:
    """Say which fields differ from a reference of the same class, problems aside: "p=0.3,0.6 seeds=0..15".

    Two configs with the same problem have the same text only if they are equal.
    """
    settings = settings_of(config)
    said = list[str]()
    for field in dataclasses.fields(config):
        value, other = getattr(config, field.name), getattr(reference, field.name)
        if field.name == "problem" or value == other:
            continue
        if dataclasses.is_dataclass(value) and not isinstance(value, type | Problem):
            said.append(changed_fields(value, other) if type(value) is type(other) else f"{field.name}={shown(value)}")
        else:
            said.append(f"{settings[field.name].short if field.name in settings else field.name}={shown(value)}")
    return " ".join(said)


def shown(value: Any) -> str:
    """Return a value as file names and tables show it; different values of a field have different texts.

    >>> shown((0.3, 0.6)), shown(tuple(range(16))), shown((("Bernoulli", 0.5),)), shown(())
    ('0.3,0.6', '0..15', 'Bernoulli(0.5)', 'none')
    """
    if isinstance(value, Problem):
        return value.name
    if isinstance(value, tuple):
        items = list(cast(tuple[Any, ...], value))
        whole = len(items) > 2 and all(type(item) is int for item in items)
        if whole and items == list(range(items[0], items[0] + len(items))):
            return f"{items[0]}..{items[-1]}"
        if len(items) == 2 and isinstance(items[0], str) and isinstance(items[1], float):
            return f"{items[0]}({shown(items[1])})"
        return ",".join(map(shown, items)) or "none"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


# --- values from text ------------------------------------------------------------------------------------------------------


def option_value(learner: str, name: str, text: str) -> Option:
    """Read the value of a learner's option by the type of its field.

    >>> option_value("mlp", "hidden", "4x4"), option_value("logistic", "l2", "0.05")
    ((4, 4), 0.05)
    """
    options = learner_options(learner)
    if name not in options:
        raise ValueError(f"{learner} has no option {meant(name, options)} Its options are {listed(options)}")
    return value_of(name, text, get_type_hints(learner_class(learner))[name])


def value_of(name: str, text: str, kind: Any) -> Any:
    """Read a value of the given type; raise ValueError that says what was got and what was expected.

    Numbers may be fractions (1/3); whole numbers in a list may be ranges (0:16, without 16); a list has commas, or x (4x4).

    >>> value_of("p", "1/4,0.5", tuple[float, ...]), value_of("seeds", "0:3,7", tuple[int, ...])
    ((0.25, 0.5), (0, 1, 2, 7))
    >>> value_of("steps", "many", int)
    Traceback (most recent call last):
    ValueError: steps = 'many', expected a whole number
    """
    try:
        return _read(text.strip(), kind)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(f"{name} = {text!r}, expected {_expected(kind)}") from None


def _read(text: str, kind: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in arguments:
            return None
        return _read(text, next(one for one in arguments if one is not type(None)))
    if origin is Literal:
        if text not in arguments:
            raise ValueError
        return text
    if origin is tuple:
        return _read_tuple(text, arguments)
    if kind is bool:
        return {"true": True, "yes": True, "false": False, "no": False}[text.lower()] if text.lower() in _YES_NO else _no()
    if kind is int:
        return _whole(text)
    if kind is float:
        value = float(Fraction(text)) if "/" in text else float(text)
        return value if math.isfinite(value) else _no()
    return text or _no()


def _read_tuple(text: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    item, length = arguments[0], None if arguments[-1] is Ellipsis else len(arguments)
    if text.lower() in ("", "none"):
        parts = list[str]()
    elif get_origin(item) is tuple:  # pairs of a name and a number
        if not re.fullmatch(r"\w+\([^()]+\)(,\w+\([^()]+\))*", text):
            _no()
        return tuple((name, _read(number, get_args(item)[1])) for name, number in re.findall(r"(\w+)\(([^()]+)\)", text))
    else:
        parts = re.split(r"[,x]" if item is int else ",", text)
    values = [value for part in parts for value in (_range(part) if item is int else [_read(part.strip(), item)])]
    if length is not None and len(values) != length:
        _no()
    return tuple(values)


def _range(text: str) -> list[int]:
    bounds = [_whole(part) for part in text.split(":")]
    if len(bounds) == 1:
        return bounds
    found = range(*bounds) if len(bounds) <= 3 else range(0)
    return list(found) if 0 < len(found) <= _MOST_IN_A_RANGE else _no()


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        value = float(text)
        return int(value) if value.is_integer() else _no()


def _no() -> Any:
    raise ValueError


def _expected(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        others = [_expected(one) for one in arguments if one is not type(None)]
        return " or ".join([*others, *(["none"] if type(None) in arguments else [])])
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin is tuple:
        if get_origin(arguments[0]) is tuple:
            return "names with a number, such as Bernoulli(0.5),TwoPoint(0.25)"
        if arguments[-1] is not Ellipsis:
            return f"{len(arguments)} {_PLURAL[arguments[0]]}, separated by commas"
        return {
            int: "whole numbers, such as 1,10,100 or 0:16",
            float: "numbers, such as 0.25,0.5",
        }.get(arguments[0], "names, separated by commas")
    return {bool: "yes or no", int: "a whole number", float: "a number"}.get(kind, "a name")


_WORDS: Mapping[Any, str] = {int: "INTEGER", float: "NUMBER", str: "NAME", bool: "yes|no"}
_YES_NO, _MOST_IN_A_RANGE = ("true", "yes", "false", "no"), 100_000
_PLURAL = {int: "whole numbers", float: "numbers", str: "names"}


def _require_within(name: str, value: Any, within: str) -> Any:
    """Return the value; raise ValueError for a number outside the interval, or for a list that must not be empty and is."""
    numbers = list(cast(tuple[Any, ...], value)) if isinstance(value, tuple) else [value]
    if not numbers and within.startswith(_NONE_OR):
        return ()
    within = within.removeprefix(_NONE_OR)
    least, most = (float(bound) for bound in within[1:-1].split(","))
    for number in numbers:
        if isinstance(number, int | float):
            above = number > least or (number == least and within[0] == "[")
            if not (above and (number < most or (number == most and within[-1] == "]"))):
                raise ValueError(f"{name} = {shown(value)}, expected {_interval(within)}")
    if not numbers:
        raise ValueError(f"{name} is empty, expected at least one value")
    return cast(Any, value)


_NONE_OR = "none or "


def _interval(within: str) -> str:
    least, most = (bound.strip() for bound in within[1:-1].split(","))
    low = f"{'at least' if within[0] == '[' else 'more than'} {least}"
    if most == "inf":
        return f"{low}"
    return f"{low} and {'at most' if within[-1] == ']' else 'less than'} {most}"


# --- what fields mean ------------------------------------------------------------------------------------------------------

_SHORT: Mapping[str, str] = {"probabilities": "p"}
"""Short names that are not the name without n_."""

_P, _COUNT, _POSITIVE, _FROM_ZERO = "(0, 1)", "[1, inf)", "(0, inf)", "[0, inf)"

_MEANINGS: Mapping[str, tuple[str, str]] = {
    "probabilities": ("probabilities with which a point is in a subset", _P),
    "seeds": ("seeds of training, over which F is averaged", _FROM_ZERO),
    "n_seeds": ("how many seeds F is averaged over: 0, 1, ..", _COUNT),
    "scales": ("s of local datamodels, whose weights are 1 - s or 1 + s", "(0, 1]"),
    "times": ("numbers of steps at which training is looked at", _COUNT),
    "dampings": ("dampings, added to the Hessian", _FROM_ZERO),
    "penalties": ("penalties l2 that are compared", _FROM_ZERO),
    "cutoffs": ("relative eigenvalues below which a pseudo-inverse cuts off", _POSITIVE),
    "products": ("numbers of products with the Hessian that a solver may use", _COUNT),
    "widths": ("widths of the hidden layer that are compared", _COUNT),
    "nodes": ("Gauss nodes of the quadrature", _COUNT),
    "most_derivatives": ("how many derivatives may be computed for an average; 0: none", _FROM_ZERO),
    "why_not_averaged": ("the reason that is given where the average derivative is left out", ""),
    "most_trainings": ("how many trainings may be spent to find jumps", _FROM_ZERO),
    "laws": ("laws of the weights, with their parameter", ""),
    "draws": ("subsets that are drawn for each law; 0: all subsets", _FROM_ZERO),
    "n_draws": ("subsets that are drawn", _COUNT),
    "n_blocks": ("blocks of drawn subsets for standard errors", "[2, inf)"),
    "repetitions": ("how often every estimate is repeated with other draws", _COUNT),
    "step": ("step of the difference quotients", _POSITIVE),
    "damping": ("damping of the influence scores", _POSITIVE),
    "iterations": ("iterations of conjugate gradients", _COUNT),
    "cutoff": ("relative eigenvalue below which the pseudo-inverse cuts off", _POSITIVE),
    "checkpoints_per_decade": ("checkpoints for each factor of 10 in the number of steps", _COUNT),
    "control": ("whether the learner was built to be additive, to interpolate or to jump", ""),
}
"""Field -> (what it is, the interval of its values), for fields that mean the same in every experiment that has them."""

OPTIONS: Mapping[str, str] = {
    "l2": "penalty: (l2/2) ||theta||^2 is added to the loss",
    "normalization": "what the sum of losses is divided by",
    "undefined": "what to do with a subset that has no single optimum",
    "hidden": "widths of the hidden layers, such as 4x4; none: a linear model",
    "activation": "tanh, relu, leaky_relu, softplus or gelu",
    "loss": "logistic, for labels 0 and 1, or squared",
    "steps": "training steps",
    "learning_rate": "size of a training step",
    "momentum": "share of the last step in the next, from 0 to less than 1",
    "batch_size": "points in a batch; none: all",
    "init_scale": "size of the random start, times the usual one",
    "schedule": "constant or cosine",
    "snapshots": "numbers of steps after which there are outputs too",
    "output": "answer to a query: margin, log_probability, or the class whose logit it is",
    "optimizer": "sgd, adam or adamw",
    "betas": "shares of earlier means that adam keeps, of gradients and of their squares",
    "derivative": "unrolled (step by step), or crossings (with what kinks of relu units add)",
    "sharpness": "the s of softplus, log(1 + exp(s z)) / s",
    "eps": "what adam adds to the root mean square that it divides by",
    "jitter": "relative change of every start, which shows rounding",
    "width": "width of the hidden layer",
    "bandwidth": "width of the kernel",
}
"""Option of a learner -> what it is, in one line; the learner's docstring has the formula."""
