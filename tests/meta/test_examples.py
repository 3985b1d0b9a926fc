"""What a user calls has an example in its docstring, and the suite runs it."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "theory.subsets": ["all_masks", "mask_rows", "sizes", "mask_of", "points_of", "name_subset"],
    "theory.laws": ["Bernoulli", "TwoPoint", "Gaussian", "Poisson", "FixedSize"],
    "theory.datamodel": ["Datamodel", "optimal_datamodel", "streamed_datamodels", "quadrature_datamodel", "fit_sampled"],
    "theory.values": ["leave_one_out", "banzhaf", "shapley", "semivalue"],
    "theory.transforms": [
        "walsh", "moebius", "inverse_moebius", "mixed_differences", "degree_mass", "difference_sums", "multilinear_extension",
        "multilinear_gradient",
    ],
    "theory.derivatives": ["average_derivative", "average_derivatives", "finite_difference", "settled_average_derivatives"],
    "theory.no_go": ["least_violation", "part_datamodels", "part_sums", "part_table", "table_from_part_sums"],
    "theory.sum_rules": ["euler_sum", "gain", "inclusion_slope", "scale_derivative"],
    "theory.inclusion": ["drawn_inclusion_differences", "inclusion_differences"],
    "theory.edges": ["chosen_edges", "decompose_edges", "split_coefficients"],
    "theory.influence": ["hessian_influence", "influence", "leverages", "newton_change", "null_space_sizes", "loo_gap_bound"],
    "theory.influence.budget": ["error_budget", "trust"],
    "theory.metrics": [
        "compare", "jackknife", "jackknife_errors", "bootstrap", "prediction_quality", "r_squared", "lds", "slope",
        "relative_error", "pearson", "spearman",
    ],
    "theory.sampling.designs": [
        "independent", "antithetic", "fold_over", "for_influence", "for_leave_one_out", "for_shapley",
    ],
    "theory.sampling.blocks": ["fit_without_blocks", "jackknifed"],
    "theory.sampling.surrogates": ["taylor_surrogate", "fit_with_surrogate"],
    "theory.sampling.stability": ["noise_design", "noise_residual"],
    "theory.influence.trajectory": ["source", "tracin"],
    "theory.response": ["mean_response", "weight_derivative"],
    "sims.learners": [
        "MLP", "Bistable", "Interpolator", "KernelSum", "LeastSquares", "Logistic", "MovingJump", "OneStep",
    ],
    "sims.retrain": ["response_table", "streamed_table"],
    "sims.ledger.attributions": ["attribute"],
    "sims.learners.network.proximal": ["proximal_responses"],
    "sims.datasets": ["names", "by_name", "with_eigenvalues", "with_leverages", "two_classes"],
}  # fmt: skip


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names])
def test_what_a_user_calls_has_an_example_with_a_result(module, name):
    symbol = getattr(importlib.import_module(module), name)
    examples = doctest.DocTestParser().get_examples(symbol.__doc__)
    assert any(example.want for example in examples)
    assert not any(example.options for example in examples)  # none is skipped or left open by an ellipsis


@pytest.mark.parametrize(("answer", "status"), [(2, 0), (3, 1)])
def test_the_suites_settings_run_examples_and_fail_on_a_wrong_one(tmp_path, answer, status):
    module = tmp_path / "module.py"
    module.write_text(f'"""\n>>> 1 + 1\n{answer}\n"""\n')
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", str(module)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert process.returncode == status, process.stdout
