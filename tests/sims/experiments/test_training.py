"""Experiments on networks and learners that jump: recomputed from their parts, and against laws they were not told."""

import dataclasses

import numpy as np
import plain_mlp as plain
import pytest
import xarray as xr
from assertions import assert_close
from scipy.stats import norm
from stored import computed

from sims.experiments import all_experiments
from sims.experiments.average_derivative import AverageDerivativeConfig
from sims.experiments.finite_time_scale import FiniteTimeConfig
from sims.experiments.interpolation import InterpolationConfig
from sims.experiments.jumps import JumpsConfig
from sims.experiments.shared.conditioning import with_conditioning, with_rounding_warning
from sims.experiments.shared.problem import Problem
from sims.experiments.training_time import TrainingTimeConfig
from sims.ledger.text import summary_json, summary_text
from sims.retrain import response_table
from theory.derivatives import finite_difference
from theory.metrics import relative_error, slope
from theory.subsets import all_masks
from theory.values import banzhaf, leave_one_out

EXPERIMENTS = all_experiments()
NETWORK = Problem("xor", "mlp", hidden=(3,), l2=0.05, learning_rate=0.5, n_points=5)


@pytest.fixture(scope="module")
def trained():
    return EXPERIMENTS["training_time"].run(TrainingTimeConfig(NETWORK, times=(1, 20, 2000), n_seeds=3))


@pytest.mark.parametrize("k", range(3))
def test_effects_at_a_training_time_are_those_of_a_run_of_that_length(trained, k):
    learner = NETWORK.build(steps=int(trained.time[k]))
    table, ones = response_table(learner, range(3)).mean, np.ones(5)
    assert_close(trained.beta[k], banzhaf(table), rtol=1e-9, call="beta against the Banzhaf value")
    assert_close(trained.leave_one_out[k], leave_one_out(table), rtol=1e-9, call="leave-one-out")
    for name, at in (("derivative", ones), ("derivative_at_half", 0.5 * ones)):
        numerical = finite_difference(learner, at, range(3))
        assert_close(trained[name][k], numerical.derivative, rtol=1e-6, call=name)


def test_the_essay_is_right_after_one_step_and_hessian_influence_at_convergence(trained):
    error = trained.measured.sel(measure="relative_error")
    essay, influence = error.sel(pair="beta on D(1)"), error.sel(pair="Hessian influence on D(1)")
    assert essay[0] < 0.05 < influence[0]
    assert influence[-1] < 1e-6 < 0.05 < essay[-1]


def test_measures_are_those_of_the_stored_effects_and_errors_those_of_repeated_seeds(trained):
    measured = trained.measured.sel(pair="LOO on D(1)", measure="relative_error")
    for k in range(3):
        assert_close(measured[k], relative_error(trained.leave_one_out[k], trained.derivative[k]), rtol=1e-12, call="error")
    config = TrainingTimeConfig(NETWORK, times=(20,), n_seeds=12)
    learner = NETWORK.build(steps=20)
    table = response_table(learner, range(12)).samples
    beta = np.stack([banzhaf(one) for one in table])
    expected = beta.std(axis=0, ddof=1) / np.sqrt(12)
    assert_close(EXPERIMENTS["training_time"].run(config).beta_error[0], expected, rtol=1e-9, call="standard error of beta")


def delete_one(measure, estimates, references):
    """The jackknife's standard error of a measure of two means over seeds, written out."""
    count = len(estimates)
    others = [np.arange(count) != r for r in range(count)]
    values = [measure(estimates[rest].mean(axis=0), references[rest].mean(axis=0)) for rest in others]
    return np.sqrt((count - 1) / count * np.sum((values - np.mean(values)) ** 2))


def test_errors_of_measures_are_those_of_leaving_one_seed_out():
    learner = NETWORK.build(steps=20)
    beta = np.stack([banzhaf(one) for one in response_table(learner, range(6)).samples])
    derivative = learner.weight_jacobian(np.ones((1, 5)), range(6))[0].swapaxes(1, 2)
    errors = EXPERIMENTS["training_time"].run(TrainingTimeConfig(NETWORK, times=(20,), n_seeds=6)).measured_error
    for measure in (slope, relative_error):
        computed = errors.sel(pair="beta on D(1)", measure=measure.__name__)[0]
        assert_close(computed, delete_one(measure, beta, derivative), rtol=1e-9, call=f"error of {measure.__name__}")


def test_the_hessian_is_looked_at_where_training_stands():
    """Gradient norm, least eigenvalue, null space and pseudo-inverse influence after 20 steps, by plain loops and numpy."""
    config = TrainingTimeConfig(NETWORK, times=(8, 20), n_seeds=3, cutoffs=(0.1,))
    trained, learner, ones = EXPERIMENTS["training_time"].run(config).isel(time=1), NETWORK.build(steps=20), np.ones(5)
    influences = []
    for r, (start, members) in enumerate(zip(learner.initial_params(range(3)), learner.batches(range(3)), strict=True)):
        theta = plain.train(learner, ones, start, members)[-1]
        hessian, gradient = plain.hessian(learner, theta, ones), plain.objective_gradient(learner, theta, ones)
        assert_close(trained.gradient_norm[r], np.linalg.norm(gradient), rtol=1e-9, call="gradient_norm")
        assert_close(trained.least_eigenvalue[r], np.linalg.eigvalsh(hessian)[0], rtol=1e-9, call="least_eigenvalue")
        rank = np.linalg.matrix_rank(hessian, hermitian=True, rtol=0.1)
        assert int(trained.null_space[0, r]) == len(hessian) - rank > 0
        points = np.stack([plain.point_gradient(learner, theta, i) for i in range(5)])
        inverse = np.linalg.pinv(hessian, hermitian=True, rcond=0.1)
        influences.append(-points @ inverse @ plain.output_gradients(learner, theta).T / 5)
    expected = relative_error(np.mean(influences, axis=0), trained.derivative)
    assert_close(trained.cutoff_error[0], expected, rtol=1e-8, call="cutoff_error")


def test_rounding_is_what_a_moved_start_changes_by_plain_loops():
    times, seeds, jitter = (4, 15), range(3), 2.0**-30
    result = EXPERIMENTS["training_time"].run(TrainingTimeConfig(NETWORK, times=times, n_seeds=3, jitter=jitter))
    learner = NETWORK.build(steps=15, snapshots=times)
    members, ones = learner.batches(seeds), np.ones((1, 5))
    before, after = (dataclasses.replace(learner, jitter=j).initial_params(seeds) for j in (0.0, jitter))
    tables = [plain.responses(learner, all_masks(5), start, members).swapaxes(0, 1) for start in (before, after)]
    effects = {
        "F": [table[:, -1:] for table in tables],
        "D(1)": [plain.weight_jacobian(learner, ones, start, members)[0].swapaxes(1, 2) for start in (before, after)],
        "beta": [np.stack([banzhaf(one) for one in table]) for table in tables],
    }
    for name, (old, new) in effects.items():
        for k, time in enumerate(times):
            at = [np.split(x, 2, axis=2)[k].reshape(3, -1) for x in (new - old, old)]
            change = np.max(np.divide(*(np.linalg.norm(x, axis=1) for x in at)))
            expected = max(change / jitter * 2.0**-52 * np.sqrt(time), 2.0**-52)
            assert_close(result.rounding.sel(of=name, time=time), expected, rtol=1e-4, call=f"rounding of {name}")
    assert float(result.rounding[:, 1].min()) > 2.0**-52


@pytest.mark.parametrize("name", ["training_time", "finite_time_scale", "average_derivative"])
def test_every_experiment_on_networks_says_how_it_is_conditioned(name):
    result = computed(name)[0]
    assert (result.amplification.dims, result.rounding.dims) == (("time", "seed"), ("of", "time"))
    assert float(result.rounding.max()) < 1e-6
    assert "warning" not in result.attrs
    problem, times = EXPERIMENTS[name].small[0].problem, EXPERIMENTS[name].small[0].times
    learner = problem.build(steps=times[1])
    expected = learner.amplification(np.ones((1, learner.n_points)), result.seed.values)[0, :, 0]
    assert_close(result.amplification[1], expected, rtol=1e-10, call="amplification at the second time")


ONCE = ["budget", "counterfactual", "damping_map", "depth", "group_removal", "lds", "proximal", "seeds", "width_map"]


@pytest.mark.parametrize("name", ONCE)
def test_derivatives_of_networks_stand_with_the_conditioning_of_their_training(name):
    """In the small cases no rounding is near a millionth; what is not trained in steps has nothing to say."""
    for result in computed(name):
        for said in ("amplification", "rounding"):
            assert (said in result.attrs) == (result.attrs["learner"] == "mlp"), result.attrs["case"]
        assert 0.0 < result.attrs.get("amplification", 1.0) < 1e3
        assert 2.0**-52 <= result.attrs.get("rounding", 1e-12) < 1e-9
        assert "warning" not in result.attrs


SOLVED = Problem("spector", "logistic", l2=0.1, n_points=8).build()
CALM = Problem("xor", "mlp", hidden=(3,), steps=20, n_points=5).build()
WILD = Problem("xor", "mlp", hidden=(4,), learning_rate=16.0, steps=300, n_points=5).build()


def test_the_largest_amplification_and_rounding_count_and_a_millionth_is_warned_of():
    seeds, ones = range(3), np.ones((1, 5))
    norms = [
        max(
            np.linalg.norm(plain.propagator(net, np.ones(5), start, members), 2)
            for start, members in zip(net.initial_params(seeds), net.batches(seeds), strict=True)
        )
        for net in (CALM, WILD)
    ]
    assert with_conditioning(xr.Dataset(), [SOLVED], [0]).attrs == {}
    said = with_conditioning(xr.Dataset(), [SOLVED, CALM], seeds).attrs
    assert list(said) == ["amplification", "rounding"]
    assert_close(said["amplification"], norms[0], rtol=1e-8, call="amplification")
    starts = [dataclasses.replace(CALM, jitter=jitter).initial_params(seeds) for jitter in (0.0, 2.0**-40)]
    changes = []
    for effect in (plain.responses, plain.weight_jacobian):
        old, new = (effect(CALM, ones, start, CALM.batches(seeds))[0].reshape(3, -1) for start in starts)
        changes.append((np.linalg.norm(new - old, axis=1) / np.linalg.norm(old, axis=1)).max())
    assert_close(said["rounding"], max(changes) * 2.0**-12 * 20**0.5, rtol=0.01, call="rounding, here that of F(1)")
    said = with_conditioning(xr.Dataset(), [WILD, CALM], seeds).attrs
    assert_close(said["amplification"], norms[1], rtol=1e-4, call="the larger one")
    assert said["rounding"] > 1e-6
    assert f"D(1) by {said['rounding']:.1g} (relative), most with hidden layers (4,) and l2 = 0: " in said["warning"]
    assert said["warning"].endswith("a learning rate below 16 may be")


def test_networks_of_many_parameters_have_the_amplification_of_their_first_seed_only():
    wide = Problem("digits_pooled", "mlp", hidden=(6,), loss="softmax", steps=20, n_points=3)
    result = EXPERIMENTS["training_time"].run(TrainingTimeConfig(wide, times=(5, 20), n_seeds=3))
    learner = wide.build(snapshots=(5, 20))
    assert learner.initial_params((0,)).shape[1] == 123
    expected = learner.amplification(np.ones((1, 3)), (0,))[0, 0]
    assert_close(result.amplification.sel(seed=0), expected, rtol=1e-12, call="the first seed")
    assert np.isnan(result.amplification.sel(seed=[1, 2])).all()
    said = with_conditioning(xr.Dataset(), [learner], range(3)).attrs
    assert_close(said["amplification"], expected.max(), rtol=1e-12, call="the largest over snapshots")


def test_chaos_that_training_forgets_before_its_end_is_warned_of():
    """Three hidden layers on Spector with steps of 0.3: a start moved by 2^-50 moves D(1) by a tenth of itself and more."""
    options = {"hidden": (4, 4, 4), "l2": 0.01, "learning_rate": 0.3, "steps": 500}
    learner = Problem("spector", "mlp", **options, n_points=8).build()
    one, other = (dataclasses.replace(learner, jitter=j).weight_jacobian(np.ones((1, 8)), [0, 1])[0] for j in (0.0, 2.0**-50))
    assert (np.linalg.norm(one - other, axis=(1, 2)) > 0.1 * np.linalg.norm(one, axis=(1, 2))).all()
    said = with_conditioning(xr.Dataset(), [learner], [0, 1]).attrs
    assert 2.0**-52 * 500**0.5 * said["amplification"] ** 2 < 1e-8
    assert said["rounding"] > 1e-3
    assert "rounding alone can change" in said["warning"]
    calm = dataclasses.replace(learner, learning_rate=0.2, steps=750)
    assert "warning" not in with_conditioning(xr.Dataset(), [calm], [0, 1]).attrs


def test_a_warning_names_the_first_step_and_what_is_moved_by_more_than_a_millionth():
    values = np.array([[1e-9, 1e-7, 1e-7], [1e-9, 1.1e-6, 1.0], [1e-9, 1e-9, 1e-5]])
    rounding = xr.Dataset({"rounding": (("of", "time"), values)}, {"of": ["F", "D(1)", "beta"], "time": [1, 20, 300]})
    assert (
        "from step 20 on rounding alone can move D(1), beta by more than 1e-6" in with_rounding_warning(rounding).attrs["warning"]
    )
    assert "warning" not in with_rounding_warning(rounding.clip(max=1e-6)).attrs


def test_a_run_in_which_rounding_grows_is_marked_and_a_calm_one_is_not(trained):
    assert "warning" not in trained.attrs
    assert "Warning" not in summary_text(trained)
    wild = Problem("xor", "mlp", hidden=(4,), learning_rate=16.0, n_points=5)
    result = EXPERIMENTS["training_time"].run(TrainingTimeConfig(wild, times=(10, 300), n_seeds=4))
    assert float(result.amplification[-1].max()) > 1e3 * float(trained.amplification.max())
    assert "rounding alone" in result.attrs["warning"]
    assert " ".join(summary_text(result).split()).endswith(f"Warning: {result.attrs['warning']}")
    assert summary_json(result)["warning"] == result.attrs["warning"]


def test_gradient_flow_is_approached_in_proportion_to_the_learning_rate():
    errors = []
    for rate, factor in ((0.04, 1), (0.02, 2)):
        problem = Problem("noisy_line", "mlp", hidden=(), loss="squared", learning_rate=rate, n_points=6)
        config = FiniteTimeConfig(problem, probabilities=(0.5,), times=(32 * factor,), n_seeds=2)
        errors.append(float(EXPERIMENTS["finite_time_scale"].run(config).flow_error[0, 0]))
    assert 1.8 < errors[0] / errors[1] < 2.2


def test_finite_time_slopes_are_those_of_separate_runs_at_every_p():
    """beta^(p) = E[F | i in S] - E[F | i not in S], weighted by hand; D(1) after t and after p t steps."""
    problem = Problem("xor", "mlp", hidden=(3,), learning_rate=0.5, n_points=5)
    config = FiniteTimeConfig(problem, probabilities=(0.25, 0.75), times=(4, 16), n_seeds=3)
    result, masks, ones = EXPERIMENTS["finite_time_scale"].run(config), all_masks(5), np.ones((1, 5))

    def derivative(time, scale=1.0):
        return problem.build(steps=time).weight_jacobian(scale * ones, range(3))[0].swapaxes(1, 2)

    for p in config.probabilities:
        chance = np.prod(np.where(masks > 0.0, p, 1.0 - p), axis=1)
        design = masks / (chance @ masks) - (1.0 - masks) / (chance @ (1.0 - masks))
        for t in config.times:
            at = result.sel(p=p, time=t)
            table = response_table(problem.build(steps=t), range(3)).samples
            beta = np.einsum("s,si,rsm->rim", chance, design, table)
            full, flow, centre = derivative(t), derivative(round(p * t)) / p, derivative(t, p)
            for name, estimate, reference in (("slope", beta, full), ("flow_slope", beta, flow), ("centre_slope", centre, full)):
                means = [x.mean(axis=0).ravel() for x in (estimate, reference)]
                assert_close(at[name], (means[0] @ means[1]) / (means[1] @ means[1]), rtol=1e-9, call=name)
                error = delete_one(slope, estimate, reference)
                assert_close(at[f"{name}_error"], error, rtol=1e-7, call=f"error of {name}")
            for name, estimate in (("interaction", beta), ("flow_error", centre)):
                gap = np.linalg.norm(estimate.mean(axis=0) - flow.mean(axis=0)) / np.linalg.norm(flow.mean(axis=0))
                assert_close(at[name], gap, rtol=1e-8, call=name)
            assert float(at.eta_t) == 0.5 * t
    assert result.sizes["seed"] == result.attrs["n_seeds"] == 3


def test_times_at_which_p_t_is_no_whole_number_are_refused():
    with pytest.raises(ValueError, match="expected p t to be whole numbers"):
        EXPERIMENTS["finite_time_scale"].run(FiniteTimeConfig(NETWORK, times=(3,)))


def test_the_standard_error_of_jumps_is_that_of_disjoint_groups_of_seeds():
    config = JumpsConfig(Problem("xor", "moving_jump", n_points=4), n_seeds=(4096,))
    errors = EXPERIMENTS["jumps"].run(config).slope_error
    more = EXPERIMENTS["jumps"].run(dataclasses.replace(config, n_seeds=(16384,))).slope_error
    small, large = (float(each.sel(quantity="difference of F")[0]) for each in (errors, more))
    assert 1.2 < small / large < 3.5  # 2, from 16 groups


def test_jumps_are_measured_against_the_closed_form_by_hand():
    """A threshold with slopes a: dF/dw = 2 phi(a.w) a; differences over seeds, and groups of seeds for the error."""
    config = JumpsConfig(Problem("xor", "moving_jump", n_points=4), n_seeds=(64, 1024), step=0.5, groups=8)
    result, learner, ones = EXPERIMENTS["jumps"].run(config), config.problem.build(), np.ones(4)
    a = learner.y[:, None] * (learner.X @ learner.X_query.T) / 4  # (N, M)
    truth = 2.0 * norm.pdf(ones @ a) * a
    assert_close(result.truth, truth, rtol=1e-13, call="truth")
    pairs = [(ones + 0.5 * e, ones - 0.5 * e) for e in np.eye(4)]
    quotient = np.stack([2.0 * norm.cdf(up @ a) - 2.0 * norm.cdf(down @ a) for up, down in pairs])
    assert_close(result.difference_bias, relative_error(quotient, truth), rtol=1e-12, call="difference_bias")
    moved = np.stack([learner.respond(pair, range(1024)) for pair in pairs])  # (N, 2, R, M)
    difference = (moved[:, 0] - moved[:, 1]).swapaxes(0, 1)
    beta = np.stack([banzhaf(one) for one in response_table(learner, range(1024)).samples])
    for name, effects in (("difference of F", difference), ("beta", beta)):
        for count in config.n_seeds:
            at = result.sel(quantity=name, n_seeds=count)
            assert_close(at.slope, slope(effects[:count].mean(axis=0), truth), rtol=1e-12, call=f"slope of {name}")
            groups = [slope(part.mean(axis=0), truth) for part in np.split(effects[:count], 8)]
            assert_close(at.slope_error, np.std(groups, ddof=1) / np.sqrt(8), rtol=1e-10, call=f"error of {name}")
    assert not result.slope.sel(quantity="path-wise derivative").any()


def test_two_wells_are_measured_against_a_derivative_that_differences_find_and_paths_do_not():
    result = computed("jumps")[0].isel(n_seeds=-1)
    gap, error = np.abs(result.slope - 1.0), result.slope_error
    assert float(gap.sel(quantity="difference of F")) < float(
        3.0 * error.sel(quantity="difference of F") + result.difference_bias
    )
    assert float(gap.sel(quantity="path-wise derivative")) > 10.0 * float(error.sel(quantity="path-wise derivative"))


def test_jumps_refuses_a_learner_without_a_closed_form():
    with pytest.raises(TypeError, match="expected bistable or moving_jump"):
        EXPERIMENTS["jumps"].run(JumpsConfig(Problem("xor", "kernel_sum")))


def test_the_average_derivative_of_networks_is_beta_at_every_time_and_the_essay_does_not_hold():
    (result,) = computed("average_derivative")
    assert (result.error < 1e-6).all()
    assert result.attrs["not_judged"] == "{}"
    assert (result.n_jumps == 0).all()
    assert (result.essay_error.sel(time=50) > 0.01).all()


def test_average_derivative_is_set_against_the_derivative_at_one():
    config = AverageDerivativeConfig(NETWORK, times=(20,), laws=(("TwoPoint", 0.5),))
    result, ones = EXPERIMENTS["average_derivative"].run(config).isel(law=0, time=0), np.ones(5)
    numerical = finite_difference(NETWORK.build(steps=20), ones, range(2)).derivative
    assert_close(result.essay_error, relative_error(numerical, result.beta), rtol=1e-6, call="essay_error")
    assert float(result.error) < 1e-6


def test_a_relu_network_has_jumps_that_the_average_derivative_misses_and_the_sum_does_not():
    problem = NETWORK.changed(activation="relu")
    config = AverageDerivativeConfig(dataclasses.replace(problem, n_points=4), times=(20,), laws=(("Bernoulli", 0.3),), n_seeds=1)
    result = EXPERIMENTS["average_derivative"].run(config).isel(law=0, time=0)
    assert int(result.n_jumps) > 0
    assert float(result.error) < 1e-8
    assert float(result.average_derivative_error) > 1e-4
    assert_close(result.average_derivative + result.average_jump, result.beta, rtol=1e-8)


def test_a_search_for_jumps_without_enough_trainings_is_not_judged():
    problem = dataclasses.replace(NETWORK.changed(activation="relu"), n_points=4)
    config = AverageDerivativeConfig(problem, times=(60,), laws=(("Bernoulli", 0.5),), n_seeds=1, most_trainings=500)
    assert "unfinished" in EXPERIMENTS["average_derivative"].run(config).attrs["not_judged"]


def test_the_law_of_r_is_the_price_of_a_seed_average():
    """The same law with the same seeds changes nothing; starts twice as large do, as recomputed from two tables."""
    config = AverageDerivativeConfig(NETWORK, times=(20,), laws=(("TwoPoint", 0.5),), n_price_seeds=4)
    result = EXPERIMENTS["average_derivative"].run(config)
    beta, other = (banzhaf(response_table(NETWORK.build(steps=20, init_scale=scale), range(4)).mean) for scale in (1.0, 2.0))
    assert_close(result.beta_change.sel(law_of_r="starts x 2"), relative_error(other, beta), rtol=1e-9)
    assert (result.beta_change_error > 0.0).all()
    assert (result.seed_spread > 0.0).all()


@pytest.mark.parametrize("law", [("Bernoulli", 0.3), ("Gaussian", 0.1)])
def test_average_derivative_is_set_against_the_datamodel_of_its_own_law(law):
    """Sampled: the slopes of least squares on 4,000 draws of the weights, with their standard errors over parts of them."""
    problem = dataclasses.replace(NETWORK, n_points=4)
    config = AverageDerivativeConfig(problem, times=(20,), laws=(law,))
    result, rng = EXPERIMENTS["average_derivative"].run(config).isel(law=0, time=0), np.random.default_rng(0)
    draws = rng.random((4000, 4)) < 0.3 if law[0] == "Bernoulli" else 1.0 + 0.1 * rng.standard_normal((4000, 4))
    outputs = problem.build(steps=20).respond(draws.astype(float), range(2)).mean(axis=1)
    design = np.column_stack([np.ones(4000), draws])
    parts = [np.linalg.lstsq(design[k::20], outputs[k::20], rcond=None)[0][1:] for k in range(20)]
    error = np.std(parts, axis=0, ddof=1) / np.sqrt(20)
    assert (np.abs(np.mean(parts, axis=0) - result.beta) < 4.0 * error + 1e-3 * np.abs(result.beta)).all()
    assert float(result.error) < 1e-6


def test_on_own_data_gradient_flow_is_asked_for_without_penalty_and_in_small_steps():
    for small in (True, False):
        problem = EXPERIMENTS["finite_time_scale"].user_case(NETWORK, small).problem
        assert dict(problem.options) == {"hidden": (3,), "learning_rate": 0.02}


def test_sizes_of_effects_of_interpolators_and_their_errors_by_hand():
    config = InterpolationConfig(Problem("two_moons", "interpolator", n_points=5), widths=(2, 8), penalties=(0.1,), n_seeds=3)
    result = EXPERIMENTS["interpolation"].run(config)
    for sizes, errors, options in (
        (result["size"].sel(width=2), result.size_error.sel(width=2), {"width": 2}),
        (result.penalised_size[0], result.penalised_size_error[0], {"width": 8, "l2": 0.1}),
    ):
        learner = config.problem.build(**options)
        tables = response_table(learner, range(3)).samples
        effects = {
            "D(1)": learner.weight_jacobian(np.ones((1, 5)), range(3))[0].swapaxes(1, 2),
            "beta": np.stack([banzhaf(table) for table in tables]),
            "LOO": np.stack([leave_one_out(table) for table in tables]),
        }
        for name, values in effects.items():
            assert_close(sizes.sel(effect=name), np.linalg.norm(values.mean(axis=0)), rtol=1e-9, call=f"size of {name}")
            error = delete_one(lambda x, _: np.linalg.norm(x), values, values)
            assert_close(errors.sel(effect=name), error, rtol=1e-7, call=f"error of the size of {name}")


def test_interpolation_leaves_no_derivative_but_an_effect_of_removal():
    (size,) = (result["size"] for result in computed("interpolation"))
    assert float(size.sel(width=8, effect="D(1)")) < 1e-9 < 0.1 < float(size.sel(width=8, effect="LOO"))
    assert float(size.sel(width=2, effect="D(1)")) > 0.01
