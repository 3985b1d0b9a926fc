"""Results folders for tests of what reads them: small cases computed for real, and stored as `sims` stores them."""

from functools import cache

from sims.experiments import all_experiments
from sims.results import save


@cache
def computed(experiment):
    """The small cases of an experiment."""
    found = all_experiments()[experiment]
    return tuple(found.run(config) for config in found.small)


def stored(folder, *experiments):
    """A results folder with the small cases of some experiments."""
    for experiment in experiments:
        for result in computed(experiment):
            save(result, folder)
    return folder


def renamed(result, name):
    """The same result under another data set's name."""
    case = result.attrs["case"].replace(result.attrs["data"], name, 1)
    return result.assign_attrs(data=name, case=case)
