"""Results folders for tests of what reads them: small cases computed for real, and stored as `sims` stores them."""

import fcntl
import json
import os
import pickle
from functools import cache
from pathlib import Path

from small_run import RESULTS, is_made, small_run

from sims.experiments import all_experiments
from sims.experiments.shared.results import read, save


@cache
def computed(experiment):
    """The small cases of an experiment, computed once: by the small run, or by the process of the suite that asks first."""
    if is_made():
        by_case = {ds.attrs["case"]: ds for ds in read(small_run().folder / RESULTS, experiment)}
        return tuple(by_case[config.problem.name] for config in all_experiments()[experiment].small)
    with Path(os.environ["SMALL_RESULTS"], experiment).open("a+b") as shared:
        fcntl.flock(shared, fcntl.LOCK_EX)
        if shared.seek(0, os.SEEK_END) == 0:  # nobody has computed it, also not while this process waited
            found = all_experiments()[experiment]
            pickle.dump(tuple(found.run(config) for config in found.small), shared)
        shared.seek(0)
        return pickle.load(shared)


def stored(folder, *experiments):
    """A results folder with the small cases of some experiments."""
    for experiment in experiments:
        for result in computed(experiment):
            save(result, folder)
    return folder


def described(case, **more):
    """The attributes of a result whose case is called "<data>-<points> <learner> <option>=<value> ..", as `sims` writes them."""
    name, *words = case.split()
    data, n_points = name.rsplit("-", 1)
    learner, *options = words or [""]
    values = dict(option.split("=", 1) for option in options)
    return {"case": case, "data": data, "n_points": int(n_points), "learner": learner, "options": json.dumps(values), **more}


def renamed(result, name):
    """The same result under another data set's name."""
    case = result.attrs["case"].replace(result.attrs["data"], name, 1)
    return result.assign_attrs(data=name, case=case)
