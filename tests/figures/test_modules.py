"""Every figure is one file that defines all that the command line, the report and the sidecar need."""

import inspect

import pytest

from figures import catalogue
from theory.claims import all_claims


def test_every_figure_is_found_by_its_file_alone():
    names = catalogue.names()
    assert {"identity", "two_regimes", "cost"} <= set(names)
    assert names == sorted(names)


@pytest.mark.parametrize("name", catalogue.names())
def test_a_figure_has_its_experiments_claims_data_description_drawing_and_caption(name):
    module = catalogue.figure_module(name)
    assert module.EXPERIMENTS
    assert all(isinstance(experiment, str) for experiment in module.EXPERIMENTS)
    known = {claim.id for claim in all_claims()}
    assert set(module.CLAIMS) <= known, f"{name} illustrates claims that do not exist"
    assert len(inspect.signature(module.alt).parameters) == 1
    assert len(inspect.signature(module.draw).parameters) == 1
    assert len(inspect.signature(module.data).parameters) == len(module.EXPERIMENTS)
    assert module.__doc__.splitlines()[0].endswith("."), "the first line of the docstring is the caption"


def test_every_claim_of_the_essay_has_a_picture_but_those_that_a_few_numbers_say():
    shown = {claim for name in catalogue.names() for claim in catalogue.figure_module(name).CLAIMS}
    essay = {claim.id for claim in all_claims() if claim.id.startswith("C")}
    assert essay - shown == {"C2 optima", "C2 singular", "C3 negative", "C7", "C9", "C12"}
