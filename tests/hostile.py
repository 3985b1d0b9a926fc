"""Learners that misbehave in one way each; `Sound` is what they would be without it.

`REFUSED` have an answer that no table can hold; `NAMED` have answers that a single call cannot tell from sound ones, and the law
that `check_learner` finds broken. `SAME` of these give the table of `Sound` all the same.
"""

import os
import random
import time
from itertools import count

import numpy as np

CLOCK = count()


class Sound:
    """F = w . values + seed + output, on four points in blocks of four subsets; it knows its derivative."""

    n_points, n_outputs, block_rows = 4, 2, 4

    def __init__(self):
        self.values = np.array([1.0, 2.0, 4.0, 8.0])

    def respond(self, weights, seeds):
        linear = (np.asarray(weights) @ self.values)[:, None, None]
        return linear + np.asarray(seeds, dtype=float)[None, :, None] + np.arange(self.n_outputs)

    def weight_jacobian(self, weights, seeds):
        return np.tile(self.values, (len(weights), len(seeds), self.n_outputs, 1))


def answering(name, change, **attributes):
    """A learner whose answer is change(the sound answer)."""
    return type(
        name, (Sound,), {"respond": lambda self, w, s: change(Sound.respond(self, w, s)), "__module__": __name__, **attributes}
    )


def raising(name, error):
    """A learner that raises."""

    def respond(self, weights, seeds):
        raise error()

    return type(name, (Sound,), {"respond": respond, "__module__": __name__})


def having(name, **attributes):
    """A learner with other attributes."""
    return type(name, (Sound,), {"__module__": __name__, **attributes})


def failing(kind):
    """A property that raises."""

    def get(self):
        raise kind("not today")

    return property(get)


def with_entry(value, row=-1):
    """A change of one entry of the answer."""

    def change(answer):
        answer[row, -1, -1] = value
        return answer

    return change


class NeedsArguments(Exception):  # noqa: N818
    """An error that cannot be made again from its message, and so not pickled."""

    def __init__(self, left, right):
        super().__init__(f"{left} and {right}")
        self.held = (lambda: left, right)


class Unspeakable(Exception):  # noqa: N818
    def __str__(self):
        raise KeyError("no words")


class Stop(BaseException):
    pass


class NoArray:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("not on this device")


class Recursing(Sound):
    def respond(self, weights, seeds):
        return self.respond(weights, seeds)


class OtherSignature(Sound):
    def respond(self, weights):
        return Sound.respond(self, weights, (0,))


class HalvesWeights(Sound):
    def respond(self, weights, seeds):
        weights *= 0.5
        return super().respond(weights, seeds)


class EmptiesWeights(Sound):
    def respond(self, weights, seeds):
        answer = super().respond(weights, seeds)
        weights[...] = 0.0
        return answer


class SortsWeights(Sound):
    def respond(self, weights, seeds):
        weights.sort(axis=1)
        return super().respond(weights, seeds)


class WritesSeeds(Sound):
    def respond(self, weights, seeds):
        seeds[0] = 7
        return super().respond(weights, seeds)


class PopsSeeds(Sound):
    def respond(self, weights, seeds):
        seeds.pop()
        return super().respond(weights, seeds)


class Unprintable(Sound):
    def __repr__(self):
        raise RuntimeError("no name")

    def respond(self, weights, seeds):
        return None


class OnlyTheFullSet(Sound):
    """Answers the first block, and not the last."""

    def respond(self, weights, seeds):
        answer = super().respond(weights, seeds)
        answer[(np.asarray(weights) == 1.0).all(axis=1)] = np.nan
        return answer


class Slots:
    """Neither points nor outputs."""

    __slots__ = ()

    def respond(self, weights, seeds):
        return np.zeros((len(weights), len(seeds), 1))


class NoRespond:
    n_points, n_outputs = 4, 2


class Emigrant(Sound):
    """Answers in one process only."""

    def __init__(self, home):
        super().__init__()
        self.home = home

    def respond(self, weights, seeds):
        if os.getpid() != self.home:
            self.fail()
        return super().respond(weights, seeds)


class Exits(Emigrant):
    def fail(self):
        os._exit(0)


class RaisesElsewhere(Emigrant):
    def fail(self):
        raise NeedsArguments(1, 2)


REFUSED = (
    answering("ReturnsNone", lambda answer: None),
    answering("ReturnsText", lambda answer: "0.5"),
    answering("ReturnsTexts", lambda answer: answer.astype(str)),
    answering("ReturnsBytes", lambda answer: answer.tobytes()),
    answering("ReturnsADict", lambda answer: {"answer": answer}),
    answering("ReturnsASet", lambda answer: set(answer.ravel())),
    answering("ReturnsObjects", lambda answer: answer.astype(object)),
    answering("ReturnsComplex", lambda answer: answer + 0j),
    answering("ReturnsMasked", lambda answer: np.ma.masked_greater(answer, 3.0)),
    answering("ReturnsMaskedOfNothing", lambda answer: np.ma.array(answer)),
    answering("ReturnsDates", lambda answer: answer.astype("datetime64[s]")),
    answering("ReturnsDurations", lambda answer: answer.astype("timedelta64[s]")),
    answering("ReturnsRecords", lambda answer: answer.view([("value", float)])),
    answering("ReturnsRagged", lambda answer: [[[1.0, 2.0]], [[1.0]]]),
    answering("ReturnsAGenerator", lambda answer: (row for row in answer)),
    answering("ReturnsAFunction", lambda answer: answer.copy),
    answering("ReturnsNoArray", lambda answer: NoArray()),
    answering("ReturnsANumber", lambda answer: 0.5),
    answering("ReturnsAPair", lambda answer: (answer, answer)),
    answering("NoSeeds", lambda answer: answer[:, 0]),
    answering("NoOutputs", lambda answer: answer[:, :, 0]),
    answering("OneMoreAxis", lambda answer: answer[..., None]),
    answering("SwappedAxes", lambda answer: answer.swapaxes(0, 2)),
    answering("OneRowLess", lambda answer: answer[:-1]),
    answering("OneRowMore", lambda answer: np.concatenate([answer, answer[:1]])),
    answering("OneSeedMore", lambda answer: np.concatenate([answer, answer[:, :1]], axis=1)),
    answering("OneOutputLess", lambda answer: answer[:, :, :1]),
    answering("OneOutputMore", lambda answer: np.concatenate([answer, answer], axis=2)),
    answering("EmptyAnswer", lambda answer: answer[:0]),
    answering("FirstRowForAll", lambda answer: answer[:1]),
    answering("AnswersNaN", lambda answer: answer * np.nan),
    answering("OneNaN", with_entry(np.nan)),
    answering("OneInfinity", with_entry(np.inf)),
    answering("OneMinusInfinity", with_entry(-np.inf, row=0)),
    answering(
        "TooLargeForFloat64",
        lambda answer: answer.astype(np.longdouble) * np.longdouble("1e4000") ** (np.finfo(np.longdouble).max > 1e300),
    ),
    OnlyTheFullSet,
    raising("RaisesValueError", lambda: ValueError("no optimum")),
    raising("RaisesKeyError", lambda: KeyError("alpha")),
    raising("RaisesZeroDivision", lambda: ZeroDivisionError("by nothing")),
    raising("RaisesNotImplemented", NotImplementedError),
    raising("RaisesAssertion", lambda: AssertionError("cannot be")),
    raising("RaisesStopIteration", StopIteration),
    raising("RaisesGeneratorExit", GeneratorExit),
    raising("RaisesMemoryError", MemoryError),
    raising("RaisesOSError", lambda: FileNotFoundError(2, "no such file", "model.pt")),
    raising("RaisesUnicodeError", lambda: UnicodeDecodeError("utf8", b"x", 0, 1, "odd")),
    raising("RaisesAWarning", lambda: RuntimeWarning("overflow")),
    raising("RaisesNeedsArguments", lambda: NeedsArguments(1, 2)),
    raising("RaisesUnspeakable", Unspeakable),
    raising("RaisesBaseException", Stop),
    raising("ExitsWithSuccess", lambda: SystemExit(0)),
    raising("ExitsWithFailure", lambda: SystemExit("bye")),
    Recursing,
    OtherSignature,
    HalvesWeights,
    EmptiesWeights,
    SortsWeights,
    WritesSeeds,
    PopsSeeds,
    Unprintable,
    Slots,
    NoRespond,
    having("RespondIsAnArray", respond=np.zeros(3)),
    having("PointsAreText", n_points="4"),
    having("PointsAreAFraction", n_points=2.5),
    having("NoPoints", n_points=0),
    having("MinusOnePoint", n_points=-1),
    having("TooManyPoints", n_points=10**9),
    having("PointsRaise", n_points=failing(RuntimeError)),
    having("OutputsAreNone", n_outputs=None),
    having("OutputsAreTrue", n_outputs=True),
    having("OutputsAreNaN", n_outputs=float("nan")),
    having("OutputsRaise", n_outputs=failing(ValueError)),
    having("BlocksOfThree", block_rows=3),
    having("BlocksOfNone", block_rows=0),
    having("BlocksOfText", block_rows="4"),
)
"""What `response_table` refuses by a name."""


# --- what one call cannot see -----------------------------------------------------------------------------------------------


class Unseeded(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 1e-12 * np.random.default_rng().standard_normal()


class CountsCalls(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 1e-6 * next(CLOCK)


class ReadsTheClock(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 1e-6 * (time.perf_counter_ns() % 10**6)


class GlobalNumpy(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 1e-6 * np.random.random()  # noqa: NPY002


class GlobalRandom(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 1e-6 * random.random()


class ReadsGlobalState(Sound):
    """Draws nothing, so that a second call alone does not show it."""

    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 1e-6 * float(np.random.get_state()[1][5])  # noqa: NPY002


class SeedsNumpy(Sound):
    """Gives the same bits for the same seed, and every other program in this process the same numbers."""

    def respond(self, weights, seeds):
        np.random.seed(seeds[0] % 2**32)  # noqa: NPY002
        return super().respond(weights, seeds) + 0.0 * np.random.random()  # noqa: NPY002


class SeedsRandom(Sound):
    def respond(self, weights, seeds):
        random.seed(seeds[0])
        return super().respond(weights, seeds)


class WarmStart(Sound):
    last = 0.0

    def respond(self, weights, seeds):
        answer = super().respond(weights, seeds) + 1e-6 * self.last
        self.last = float(answer.ravel()[-1]) if answer.size else 0.0
        return answer


class ReusesItsBuffer(Sound):
    def respond(self, weights, seeds):
        answer = super().respond(weights, seeds)
        buffers = self.__dict__.setdefault("_buffers", {})
        buffer = buffers.setdefault(answer.shape, np.empty(answer.shape))
        buffer[...] = answer
        return buffer


class HandsOutItsCache(Sound):
    def respond(self, weights, seeds):
        cache = self.__dict__.setdefault("_cache", {})
        return cache.setdefault((np.asarray(weights).tobytes(), tuple(seeds)), super().respond(weights, seeds))


class CachesByShape(Sound):
    def respond(self, weights, seeds):
        cache = self.__dict__.setdefault("_cache", {})
        return cache.setdefault((np.shape(weights), tuple(seeds)), super().respond(weights, seeds)).copy()


class ViewOfWeights(Sound):
    def respond(self, weights, seeds):
        return np.broadcast_to(weights[:, None, : self.n_outputs], (len(weights), len(seeds), self.n_outputs))

    def weight_jacobian(self, weights, seeds):
        return np.tile(np.eye(self.n_outputs, self.n_points), (len(weights), len(seeds), 1, 1))


class ViewOfItself(Sound):
    def respond(self, weights, seeds):
        return np.broadcast_to(self.values[: self.n_outputs], (len(weights), len(seeds), self.n_outputs))

    def weight_jacobian(self, weights, seeds):
        return np.zeros((len(weights), len(seeds), self.n_outputs, self.n_points))


class BatchMean(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + (np.asarray(weights).mean() if len(weights) else 0.0)


class BatchPosition(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 1e-6 * np.arange(len(weights))[:, None, None]


class BatchSize(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 1e-6 * len(weights)


class NoEmptyBatch(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, seeds) + 0.0 * np.asarray(weights)[0, 0]


class ForgetsBeyondTheBlock(Sound):
    def respond(self, weights, seeds):
        answer = super().respond(weights, seeds)
        answer[self.block_rows :] = 0.0
        return answer


class SeedByPosition(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, range(len(seeds)))


class SortsSeeds(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, sorted(seeds))


class FirstSeedForAll(Sound):
    def respond(self, weights, seeds):
        return super().respond(weights, [seeds[0]] * len(seeds))


class WritesItself(Sound):
    """Its own public data change with every call, its answers do not."""

    def __init__(self):
        super().__init__()
        self.calls = np.zeros(1)

    def respond(self, weights, seeds):
        self.calls += 1.0
        return super().respond(weights, seeds)


class UnlocksWeights(Sound):
    def respond(self, weights, seeds):
        weights.flags.writeable = True
        answer = super().respond(weights, seeds)
        weights *= 0.5
        return answer


class WritesToTheBase(Sound):
    def respond(self, weights, seeds):
        answer = super().respond(weights, seeds)
        owner = weights if weights.base is None else weights.base
        owner.flags.writeable = True
        owner[...] = 0.0
        return answer


class JacobianWritesWeights(Sound):
    def weight_jacobian(self, weights, seeds):
        weights[...] = 0.0
        return super().weight_jacobian(weights, seeds)


class Linearizing(Sound):
    def linearize(self, weights, seeds):
        return None


class LinearizeWritesWeights(Linearizing):
    def linearize(self, weights, seeds):
        weights[...] = 0.0
        raise ValueError("no parameters")


def deriving(name, change):
    """A learner whose derivative is change(the sound derivative)."""
    attributes = {"weight_jacobian": lambda self, w, s: change(Sound.weight_jacobian(self, w, s)), "__module__": __name__}
    return type(name, (Sound,), attributes)


def linearizing(name, **parts):
    """A learner with `linearize`, whose parts are of the right shapes, but for those given."""

    def linearize(self, weights, seeds):
        r, n, m = len(seeds), self.n_points, self.n_outputs
        shapes = {"params": (r, 1), "hessian": (r, 1, 1), "point_gradients": (r, n, 1), "output_gradients": (r, m, 1)}
        return type("Parts", (), {**{k: np.ones(s) for k, s in shapes.items()}, "gradient_norm": np.zeros(r), **parts})()

    return type(name, (Sound,), {"linearize": linearize, "__module__": __name__})


ANSWERS, SEEDS, ROWS, LONG, INPUTS, DERIVATIVE, LINEAR = (
    "answers are finite",
    "seeds decide",
    "batch is its rows",
    "place in a long batch is free",
    "inputs are left alone",
    "Jacobian is the derivative",
    "linearization is consistent",
)

NAMED = {
    Unseeded: SEEDS,
    CountsCalls: SEEDS,
    ReadsTheClock: SEEDS,
    GlobalNumpy: SEEDS,
    GlobalRandom: SEEDS,
    ReadsGlobalState: SEEDS,
    SeedsNumpy: INPUTS,
    SeedsRandom: INPUTS,
    WarmStart: SEEDS,
    ReusesItsBuffer: INPUTS,
    HandsOutItsCache: INPUTS,
    CachesByShape: ROWS,
    ViewOfWeights: INPUTS,
    ViewOfItself: INPUTS,
    BatchMean: ROWS,
    BatchPosition: ROWS,
    BatchSize: ROWS,
    NoEmptyBatch: ROWS,
    ForgetsBeyondTheBlock: LONG,
    SeedByPosition: SEEDS,
    SortsSeeds: SEEDS,
    FirstSeedForAll: SEEDS,
    WritesItself: INPUTS,
    UnlocksWeights: INPUTS,
    WritesToTheBase: INPUTS,
    answering("ReturnsFloat32", lambda answer: answer.astype(np.float32)): ANSWERS,
    answering("ReturnsFloat16", lambda answer: answer.astype(np.float16)): ANSWERS,
    answering("ReturnsIntegers", lambda answer: answer.astype(int)): ANSWERS,
    answering("ReturnsAList", np.ndarray.tolist): ANSWERS,
    answering("ReturnsASubclass", lambda answer: answer.view(np.recarray)): ANSWERS,
    deriving("JacobianIsNone", lambda answer: None): ANSWERS,
    deriving("JacobianIsMasked", np.ma.array): ANSWERS,
    deriving("JacobianIsComplex", lambda answer: answer + 0j): ANSWERS,
    deriving("JacobianIsFloat32", lambda answer: answer.astype(np.float32)): ANSWERS,
    deriving("JacobianIsFlat", lambda answer: answer[:, 0]): ANSWERS,
    deriving("JacobianIsInfinite", lambda answer: answer * np.inf): ANSWERS,
    deriving("JacobianIsNegative", np.negative): DERIVATIVE,
    deriving("JacobianRaises", lambda answer: answer.missing): ANSWERS,
    JacobianWritesWeights: INPUTS,
    Linearizing: LINEAR,
    LinearizeWritesWeights: INPUTS,
    linearizing("LinearizeIsFlat", params=np.ones(3)): LINEAR,
    linearizing("LinearizeIsNaN", hessian=np.full((3, 1, 1), np.nan)): LINEAR,
    linearizing("LinearizeIsMasked", point_gradients=np.ma.ones((3, 4, 1))): LINEAR,
    linearizing("LinearizeIsText", gradient_norm=["0", "0", "0"]): LINEAR,
    linearizing("LinearizeIsSkew", output_gradients=np.ones((3, 4, 1))): LINEAR,
}
"""What `check_learner` names, with the law that it breaks."""

SAME = {kind for kind, law in NAMED.items() if law in (INPUTS, ANSWERS, DERIVATIVE, LINEAR)} - {ViewOfWeights, ViewOfItself}

globals().update({kind.__name__: kind for kind in (*REFUSED, *NAMED)})  # processes find them by name
