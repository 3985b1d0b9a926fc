"""Experiments: labelled, complete, reproducible, and in agreement with closed forms where there are any."""

import json

import numpy as np
import pytest
import xarray as xr
from assertions import assert_close
from stored import computed

from sims import experiments
from sims.experiments import all_experiments
from sims.experiments.expansion import ExpansionConfig
from sims.experiments.identity import IdentityConfig
from sims.experiments.normalisation import NormalisationConfig
from sims.experiments.scale import ScaleConfig
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.results import case_folder, read, save
from sims.retrain import response_table
from theory.transforms import walsh

ONE_POINT = Problem("one_point", "least_squares", l2=1.0)
SPECTOR = Problem("spector", "logistic", l2=0.1, n_points=8)
EXPERIMENTS = all_experiments()


def test_the_experiments_of_the_main_job_are_all_found():
    assert {"identity", "expansion", "scale", "normalisation"} <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_result_is_labelled_finite_and_says_what_was_run(name):
    results = computed(name)
    assert len(results) == len(EXPERIMENTS[name].small)
    for result in results:
        assert result.attrs["experiment"] == name
        assert json.loads(result.attrs["config"])["problem"]["data"] == result.attrs["data"]
        assert {"numpy", "scipy", "python", "unit", "case"} <= set(result.attrs)
        options = json.loads(result.attrs["options"])
        assert result.attrs["case"].split()[1:] == [
            result.attrs["learner"],
            *(f"{key}={shown}" for key, shown in options.items()),
        ]
        for variable in result.data_vars.values():
            assert variable.attrs["long_name"]
    for variable in results[-1].data_vars.values():
        if not {"measure", "column", "quality"} & set(variable.dims):  # a correlation over one point is undefined, and stays so
            assert np.isfinite(variable.values).all(), variable.name


def test_a_file_that_is_no_experiment_is_refused(tmp_path, monkeypatch):
    (tmp_path / "no_experiment.py").write_text("SETTING = 1\n")
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match=r"sims\.experiments\.no_experiment has no EXPERIMENT"):
        all_experiments()


def test_one_point_ridge_has_its_closed_form_everywhere():
    """F(w) = w / (w + 1): beta = LOO = 1/2 for every p, D(w) = 1 / (w + 1)^2, so that the essay is off by a factor 2."""
    result = EXPERIMENTS["identity"].run(IdentityConfig(ONE_POINT, probabilities=(0.3, 0.5), scales=(0.5,)))
    assert_close(result.beta, np.full((2, 1, 1), 0.5), rtol=1e-15)
    assert_close(result.leave_one_out, [[0.5]], rtol=1e-15)
    assert_close(result.derivative, [[0.25]], rtol=1e-15)
    assert_close(result.derivative_at_p[:, 0, 0], [1 / 1.3**2, 1 / 1.5**2], rtol=1e-14)
    assert_close(result.average_derivative, np.full((2, 1, 1), 0.5), rtol=1e-7)
    assert_close(result.local_beta, [[[1.5 / 2.5 - 0.5 / 1.5]]], rtol=1e-14)  # difference quotient over [1/2, 3/2]
    assert float(result.beta_against.sel(p=0.5, reference="D(1)", measure="slope")) == pytest.approx(2.0, rel=1e-14)


def test_the_terms_of_the_gap_add_up_and_a_term_left_out_shows():
    result = EXPERIMENTS["expansion"].run(ExpansionConfig(SPECTOR))
    gap = result.derivative - result.beta
    assert_close(result.interaction + result.curvature, gap, rtol=1e-11)
    for term in (result.interaction, result.curvature):
        assert np.linalg.norm(gap - term) > 0.1 * np.linalg.norm(gap)


def test_the_expansion_converges_faster_for_p_nearer_to_one_and_is_not_exact_before_its_last_order():
    error = EXPERIMENTS["expansion"].run(ExpansionConfig(SPECTOR)).truncation_error
    assert float(error[:, -1].max()) < 1e-12
    assert float(error.sel(p=0.5)[-2]) > 1e-9
    assert (np.diff(error[:, 0]) < 0.0).all()


def test_the_factor_between_eps_and_w_is_n_and_the_essays_rule_is_too_small_by_it():
    result = EXPERIMENTS["normalisation"].run(NormalisationConfig(SPECTOR))
    assert float(result.eps_over_w) == pytest.approx(8.0, rel=1e-8)
    in_w, in_eps = (result.prediction.sel(rule=f"(1/N) dF/{variable}", drop=True) for variable in ("dw", "deps"))
    assert_close(in_eps, result.prediction.sel(rule="dF/dw"), rtol=1e-8)
    assert_close(8.0 * in_w, in_eps, rtol=1e-8)
    assert_close(result.prediction.sel(rule="datamodel beta"), 2.0 * walsh_degree_one(), rtol=1e-10)
    slopes = result.removal_slope
    assert float(slopes.sel(rule="dF/dw") / slopes.sel(rule="(1/N) dF/dw")) == pytest.approx(8.0, rel=1e-12)
    assert 0.3 < float(slopes.sel(rule="dF/dw")) < 1.0
    assert float(result.jump.sel(normalization="support")) > 0.1
    assert float(result.jump.sel(normalization="n_points")) < 1e-6


def walsh_degree_one():
    """Fhat({i}) of the Spector table: half the datamodel coefficient, by another transform."""
    return walsh(response_table(SPECTOR.build(), (0,)).mean)[2 ** np.arange(8)]


def test_the_slope_without_penalty_is_one_over_p_and_one_for_weights_of_mean_one():
    result = EXPERIMENTS["scale"].run(ScaleConfig(Problem("noisy_line", "least_squares", l2=0.0), draws=2**12))
    excess = np.abs(result.slope / result.predicted - 1.0)
    assert float((excess - 3.0 * result.standard_error).max()) < 6.0 / 64  # 1 + O(1/N), N = 64
    half = result.slope.sel(law="Bernoulli(0.5)")
    assert (np.abs(half - 2.0) < 0.2).all()
    assert (half > 1.5).all(), "a factor 1, the essay's, would be seen"


def test_sampled_slopes_repeat_with_their_seed_and_move_with_another_by_their_standard_error():
    problem = Problem("noisy_line", "least_squares", l2=0.0, n_points=30)
    first, again, other = (
        EXPERIMENTS["scale"].run(ScaleConfig(problem, probabilities=(0.5,), draws=1024, seeds=(seed,))) for seed in (0, 0, 1)
    )
    xr.testing.assert_identical(first, again)
    z = (first.slope - other.slope) / np.hypot(first.standard_error, other.standard_error)
    assert float(np.abs(z).max()) < 5.0
    assert float(np.abs(z).max()) > 0.0


def test_a_result_is_read_by_plain_open_zarr_without_a_warning_and_replaces_an_older_one(tmp_path):
    result = EXPERIMENTS["normalisation"].run(NormalisationConfig(SPECTOR))
    folder = save(result, tmp_path)
    assert save(result, tmp_path) == folder == case_folder(tmp_path, "normalisation", result.attrs["case"])
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    with xr.open_zarr(folder) as stored:
        xr.testing.assert_identical(stored.load(), result)
    (again,) = read(tmp_path, "normalisation")
    xr.testing.assert_identical(again, result)


def test_a_damaged_chunk_is_noticed_when_read(tmp_path):
    folder = save(EXPERIMENTS["normalisation"].run(NormalisationConfig(SPECTOR)), tmp_path)
    chunk = folder / "prediction" / "c" / "0" / "0" / "0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    with pytest.raises(Exception, match=r"(?i)checksum|crc"):
        xr.open_zarr(folder).load()


def test_a_result_that_could_not_be_written_leaves_the_older_one(tmp_path, monkeypatch):
    result = EXPERIMENTS["normalisation"].run(NormalisationConfig(SPECTOR))
    folder = save(result, tmp_path)
    monkeypatch.setattr(xr.Dataset, "to_zarr", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save(result, tmp_path)
    monkeypatch.undo()
    with xr.open_zarr(folder) as stored:
        xr.testing.assert_identical(stored.load(), result)
