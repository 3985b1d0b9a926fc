"""How results show themselves, and that labelling costs nothing until it is used."""

import subprocess
import sys

from theory.display import Displayed, span


class Result(Displayed):
    def facts(self):
        return {"law": "p < 1", "n_points": 2}

    def to_xarray(self):
        raise NotImplementedError


def test_a_result_shows_its_facts_in_a_line_and_in_a_table():
    assert repr(Result()) == "Result(law=p < 1, n_points=2)"
    assert Result()._repr_html_() == (
        "<table><caption>Result</caption><tr><th>law</th><td>p &lt; 1</td></tr><tr><th>n_points</th><td>2</td></tr></table>"
    )


def test_a_span_is_the_range_of_what_is_defined():
    assert span([[3.0, 1.0], [float("nan"), 2.0]]) == "1 to 3"
    assert span([1.0, 1.0 + 1e-9]) == "1"
    assert span([]) == "undefined"


def test_importing_theory_loads_neither_xarray_nor_pandas_nor_scipy_stats():
    modules = "theory.datamodel, theory.influence.trajectory, theory.influence.budget, theory.sampling.surrogates"
    program = f"import sys, {modules}; print(sorted({{'xarray', 'pandas', 'scipy.stats'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
