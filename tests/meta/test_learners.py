"""Every file of `sims.learners` is one learner, which problems find by the name of the file, and which says what it is."""

import importlib
from pathlib import Path

import numpy as np
import pytest

import sims.learners

NAMES = sorted(file.stem for file in Path(sims.learners.__file__).parent.glob("*.py") if file.stem != "__init__")


@pytest.mark.parametrize("name", NAMES)
def test_every_file_defines_its_learner(name):
    kind = importlib.import_module(f"sims.learners.{name}").LEARNER
    assert kind.__module__ == f"sims.learners.{name}"
    assert getattr(sims.learners, kind.__name__) is kind


def test_every_learner_of_the_package_has_a_file():
    assert len(NAMES) == len(sims.learners.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_learner_is_shown_by_its_sizes_and_by_what_was_chosen(name):
    kind = importlib.import_module(f"sims.learners.{name}").LEARNER
    X = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    option = {"mlp": "steps", "interpolator": "width"}.get(name)
    option = option or next(o for o in ("l2", "bandwidth", "init_scale") if o in kind.__dataclass_fields__)
    queries = {"y_query": [0, 1]} if name == "softmax_regression" else {}
    learner = kind(X, [0.0, 1.0, 0.0], X[:2], **{option: 3}, **queries)
    assert repr(learner) == f"{kind.__name__}(N=3, M=2, {option}={getattr(learner, option)!r})"
