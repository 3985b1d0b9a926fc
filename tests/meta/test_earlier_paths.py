"""Import paths that earlier versions named give the modules of today, not copies of them."""

import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TODAY = {
    "theory.budget": ("theory.influence.budget", "error_budget"),
    "theory.designs": ("theory.sampling.designs", "Design"),
    "theory.sampled": ("theory.sampling.fit", "fit_sampled"),
    "theory.stability": ("theory.sampling.stability", "noise_design"),
    "theory.surrogates": ("theory.sampling.surrogates", "taylor_surrogate"),
    "theory.trajectory": ("theory.influence.trajectory", "tracin"),
    "sims.own": ("sims.ledger.judge", "judge_learner"),
    "sims.proximal": ("sims.learners.network.proximal", "proximal_responses"),
}


@pytest.mark.parametrize(("earlier", "today", "name"), [(earlier, *there) for earlier, there in TODAY.items()])
def test_an_earlier_path_is_the_module_of_today(earlier, today, name):
    module = importlib.import_module(earlier)
    assert module is importlib.import_module(today)
    assert module.__name__ == module.__spec__.name == today
    assert pickle.loads(pickle.dumps(getattr(module, name))) is getattr(importlib.import_module(today), name)


@pytest.mark.parametrize("earlier", TODAY)
def test_an_earlier_path_works_as_the_first_import_of_a_process(earlier):
    code = f"import {earlier}; from {earlier} import {TODAY[earlier][1]}"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_a_path_that_never_was_is_still_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("theory.budgets")
