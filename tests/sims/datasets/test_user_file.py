"""A user's own CSV file: the rows that are chosen, what is written down, which experiments run, and what they find."""

import itertools
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
import xarray as xr
from assertions import assert_close, assert_identical
from sklearn.linear_model import LogisticRegression

from sims.command_line.user_problem import described_problem
from sims.datasets.user_file import FirstRows, as_user_data
from sims.datasets.user_record import write_down
from sims.experiments import all_experiments
from sims.experiments.shared.cases import run_cases, user_jobs
from sims.experiments.shared.user_cases import first_points, user_problem
from theory.claims import all_claims, judge

SAMPLE = Path(__file__).parents[3] / "examples" / "vote96.csv"
CHOICE = {
    **dict.fromkeys(("learner", "points", "queries", "l2", "seed", "positive", "fill", "decimal")),
    "target": "vote",
    "drop": (),
    "categories": (),
}


@pytest.fixture(scope="module")
def vote():
    return as_user_data(SAMPLE, "vote")


def regression_file(folder, n_rows=40, name="numbers.csv"):
    rng = np.random.default_rng(0)
    table = np.column_stack([3.0 + 2.0 * rng.standard_normal((n_rows, 2)), rng.standard_normal(n_rows)])
    path = folder / name
    np.savetxt(path, table, delimiter=",", header="a,b,y", comments="", fmt="%.17g")
    return path, table


def test_the_sample_is_the_survey_that_statsmodels_ships():
    frame = sm.datasets.anes96.load_pandas().data
    lines = SAMPLE.read_text().splitlines()
    names = lines[0].split(",")
    expected = frame[names[:-1]].to_numpy(int)
    assert_identical(np.array([line.split(",")[:-1] for line in lines[1:]], dtype=int), expected)
    assert [line.split(",")[-1] for line in lines[1:]] == [("Clinton", "Dole")[int(vote)] for vote in frame["vote"]]


def test_training_and_query_rows_are_those_of_the_file_standardised_by_the_training_rows(vote):
    data = vote.load(12)
    rows = [line.split(",") for line in SAMPLE.read_text().splitlines()[1:]]
    assert len(set(data.train_rows) | set(data.query_rows)) == 12 + 8
    train, asked = (np.array([rows[k][:-1] for k in some], dtype=float) for some in (data.train_rows, data.query_rows))
    assert_close(data.X, np.column_stack([np.ones(12), (train - train.mean(axis=0)) / train.std(axis=0)]), rtol=1e-12)
    assert_close(data.X_query[:, 1:], (asked - train.mean(axis=0)) / train.std(axis=0), rtol=1e-12)
    assert data.y.tolist() == [float(rows[k][-1] == "Dole") for k in data.train_rows]
    assert data.labels == ("Clinton", "Dole")


def test_a_target_of_numbers_is_standardised_likewise_and_not_stratified(tmp_path):
    path, table = regression_file(tmp_path)
    data = as_user_data(path, "y").load(10)
    y = table[list(data.train_rows), 2]
    assert_close(data.y, (y - y.mean()) / y.std(), rtol=1e-12)
    assert data.unit == "standard deviations of y"
    assert data.labels == ()


def test_the_same_seed_chooses_the_same_rows_and_another_seed_others():
    chosen = [as_user_data(SAMPLE, "vote", seed=seed).load(12) for seed in (0, 0, 1)]
    assert chosen[0].train_rows == chosen[1].train_rows
    assert chosen[0].query_rows == chosen[1].query_rows
    assert chosen[0].train_rows != chosen[2].train_rows


@pytest.mark.parametrize(("n_ones", "n_points", "trained"), [(100, 10, 5), (3, 10, 2), (1, 10, 1), (197, 4, 2), (50, 20, 5)])
def test_classes_train_in_their_share_of_the_file_and_at_least_two_of_either_where_there_are_two(
    tmp_path, n_ones, n_points, trained
):
    path = tmp_path / "rare.csv"
    path.write_text("x,y\n" + "".join(f"{k},{'b' if k < n_ones else 'a'}\n" for k in range(200)))
    assert as_user_data(path, "y").load(n_points).y.sum() == trained


@pytest.mark.parametrize(
    ("values", "labels"),
    [(("0", "1"), ("0", "1")), (("10", "9"), ("9", "10")), (("1", "0.0"), ("0.0", "1")), (("b", "a"), ("a", "b"))],
)
def test_the_smaller_of_two_values_is_class_0_by_number_where_both_are_numbers(tmp_path, values, labels):
    path = tmp_path / "two.csv"
    path.write_text("x,y\n" + "".join(f"{k},{values[k % 2]}\n" for k in range(30)))
    data = as_user_data(path, "y").load(10)
    assert data.labels == labels
    assert data.y.tolist() == [float(values[k % 2] == labels[1]) for k in data.train_rows]


def test_numbers_that_are_written_in_two_ways_are_one_class(tmp_path):
    path = tmp_path / "ways.csv"
    path.write_text("x,y\n" + "".join(f"{k},{('0', '1.0', '0.00', '1')[k % 4]}\n" for k in range(30)))
    data = as_user_data(path, "y").load(10)
    assert data.y.tolist() == [float(k % 2) for k in data.train_rows]


@pytest.mark.parametrize("scale", [1e-320, 1e-160, 1e160, 1.7e308])
def test_columns_of_any_finite_size_are_standardised(tmp_path, scale):
    path = tmp_path / "scales.csv"
    rng = np.random.default_rng(1)
    x = rng.choice([-1.0, -0.5, 0.5, 1.0], 30)
    path.write_text("x,y\n" + "".join(f"{v * scale!r},{k % 2}\n" for k, v in enumerate(x.tolist())))
    data = as_user_data(path, "y").load(12)
    assert_close(data.X[:, 1].mean(), 0.0, atol=1e-14)
    assert_close(data.X[:, 1].std(), 1.0, rtol=1e-3 if scale < 1e-300 else 1e-14)  # subnormal numbers have few digits


@pytest.mark.parametrize(
    ("content", "choice", "message"),
    [
        ("three", {"learner": "logistic"}, r"target 'y' .* has 3 different values \('a', 'b', 'c'\), expected two classes"),
        (
            "three",
            {"learner": "least_squares"},
            r"target 'y' .* holds text \('a'\) in 3 different values, .*: --positive c takes",
        ),
        ("three", {"learner": "least_squares"}, r"target 'y' .* holds text \('a'\) in 3 different values"),
        ("two", {"learner": "least_squares"}, r"target 'y' .* holds text \('a'\) in 2 different values"),
        ("one", {}, "target 'y' .* is 'a' in every row"),
        ("two", {"points": 25, "queries": 6}, "has 30 rows; 25 training points and 6 queries need 31"),
        ("two", {"l2": 0.0}, "--l2 0: .* take l2 > 0"),
        ("numbers", {"learner": "logistic"}, "target 'y' .* has 30 different values"),
        ("infinite", {}, "target 'y' .* has the value 'inf'"),
        ("dummy target", {"points": 4, "learner": "least_squares"}, "target 'y' .* the same in all 4 training rows"),
        ("far", {"queries": 18}, "'x1' varies so little among the training rows that another row is infinitely far"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused_before_anything_is_written(tmp_path, content, choice, message):
    n = 30
    targets = {"three": "abc", "one": "a", "infinite": ["1", "inf", "3"]}.get(content, "ab")
    y = [f"{k}" for k in range(n)] if content == "numbers" else [targets[k % len(targets)] for k in range(n)]
    if content == "dummy target":
        y = [f"{max(k - 27, 0)}" for k in range(n)]
    x1 = [f"{k % 7}" for k in range(n)]
    if content == "far":
        x1 = [f"{k % 2 * 1e-300!r}" for k in range(n - 1)] + ["1e300"]
    path = tmp_path / "data.csv"
    path.write_text("x,x1,y\n" + "".join(f"{k},{a},{b}\n" for k, (a, b) in enumerate(zip(x1, y, strict=True))))
    with pytest.raises(ValueError, match=message) as refusal:
        described_problem(path, tmp_path / "out", small=False, **{**CHOICE, "target": "y", **choice})
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_what_was_chosen_is_written_down_and_another_choice_is_refused_by_its_name(tmp_path, vote):
    file = write_down(vote, 10, tmp_path)
    data, written = vote.load(10), json.loads(file.read_text())
    assert file.name == "vote96.csv-10.rows.json"
    assert written["train_rows"] == list(data.train_rows)
    assert written["query_rows"] == list(data.query_rows)
    assert written["classes"] == {"Clinton": 0, "Dole": 1}
    assert written["data"]["sha256"] == vote.sha256
    before = file.read_bytes()
    assert write_down(vote, 10, tmp_path).read_bytes() == before
    write_down(vote, 11, tmp_path)  # another number of points is another case of the same run
    for other, message in (
        (as_user_data(SAMPLE, "vote", seed=1), "seed was 0, is 1"),
        (as_user_data(SAMPLE, "vote", n_queries=3), "n_queries was 8, is 3"),
        (as_user_data(SAMPLE, "vote", drop=("age",)), r"drop was \[\], is \['age'\]"),
        (as_user_data(SAMPLE, "age", drop=("vote",)), "target was 'vote', is 'age'"),
    ):
        with pytest.raises(ValueError, match=rf"holds another run on vote96\.csv: .*{message}.*another --out"):
            write_down(other, 10, tmp_path)


def test_a_file_that_changed_in_the_meantime_is_refused_by_name(tmp_path):
    path, _ = regression_file(tmp_path)
    own = as_user_data(path, "y")
    first = own.load(8)
    os.utime(path, ns=(1, 1))  # another time, the same content
    assert_identical(own.load(8).X, first.X)
    path.write_text(path.read_text().replace("a,b", "b,a"))
    os.utime(path, ns=(2, 2))
    with pytest.raises(ValueError, match=r"numbers\.csv has changed since it was read"):
        own.load(8)


@pytest.mark.parametrize(
    ("name", "label"),
    [("my data (1).csv", "my_data_1_.csv"), ("<b>&$x$.csv", "_b_x_.csv"), ("a-1 mlp l2=3.csv", "a-1_mlp_l2_3.csv")],
)
def test_odd_file_names_become_safe_labels_and_results_find_their_folder(tmp_path, name, label):
    path, _ = regression_file(tmp_path, name=name)
    problem = user_problem(as_user_data(path, "y"), "least_squares", 5)
    assert problem.label == label
    assert problem.name == f"{label}-5 least_squares l2=0.1"
    results = run_cases([job for job in user_jobs(problem)[0] if job.experiment == "leverage"], out=tmp_path / "out", quiet=True)
    (stored,) = (tmp_path / "out" / "leverage").glob("*.zarr")
    with xr.open_zarr(stored, consolidated=False) as found:
        assert found.attrs["data"] == label
        assert found.attrs["train_rows"] == list(problem.load().train_rows)
        assert found.attrs["query_rows"] == list(problem.load().query_rows)
        assert json.loads(found.attrs["config"])["problem"]["data"]["path"] == str(path)
    assert results["leverage"][0].attrs["n_points"] == 5


def test_a_problem_can_be_sent_to_another_process_and_hashed(vote):
    problem = user_problem(vote, "logistic", 8)
    again = pickle.loads(pickle.dumps(problem))
    assert again == problem
    assert len({again, problem, user_problem(vote, "logistic", 9)}) == 2


def test_the_datamodel_of_a_file_is_that_of_scikit_learn_on_every_subset_and_numpys_least_squares(tmp_path, vote):
    problem = user_problem(vote, "logistic", 5, l2=0.3)
    data = vote.load(5)
    table = []
    for mask in itertools.product((0, 1), repeat=5):  # the last point varies fastest: bit order is turned below
        keep = np.flatnonzero(mask[::-1])
        if len(set(data.y[keep])) == 2:
            fit = LogisticRegression(C=1 / (5 * 0.3), fit_intercept=False, tol=1e-12, max_iter=10_000)
            table.append(data.X_query @ fit.fit(data.X[keep], data.y[keep]).coef_[0])
        else:  # scikit-learn needs both classes: the optimum by statsmodels' penalty-free score, through Newton's method
            table.append(data.X_query @ newton(data.X[keep], data.y[keep], 5 * 0.3))
    masks = np.array([mask[::-1] for mask in itertools.product((0, 1), repeat=5)], dtype=float)
    slopes = np.linalg.lstsq(np.column_stack([np.ones(32), masks]), np.array(table), rcond=None)[0][1:]
    config = all_experiments()["identity"].user_case(problem, True)
    result = all_experiments()["identity"].run(config)
    assert_close(result.beta.sel(p=0.5).values, slopes, rtol=1e-6)


def newton(X, y, penalty):
    theta = np.zeros(X.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-X @ theta))
        hessian = (X.T * (p * (1.0 - p))) @ X + penalty * np.eye(len(theta))
        theta = theta - np.linalg.solve(hessian, X.T @ (p - y) + penalty * theta)
    return theta


def test_the_datamodel_of_a_target_of_numbers_is_that_of_statsmodels_ridge_on_every_subset(tmp_path):
    path, _ = regression_file(tmp_path)
    problem = user_problem(as_user_data(path, "y"), "least_squares", 4, l2=0.2)
    data, masks = problem.load(), np.array(list(itertools.product((0.0, 1.0), repeat=4)))
    table = [np.zeros(8)]
    for mask in masks[1:]:
        keep = mask > 0
        fit = sm.OLS(data.y[keep], data.X[keep]).fit_regularized(alpha=0.2 * 4 / keep.sum(), L1_wt=0.0)
        table.append(data.X_query @ fit.params)
    slopes = np.linalg.lstsq(np.column_stack([np.ones(16), masks]), np.array(table), rcond=None)[0][1:]
    result = all_experiments()["identity"].run(all_experiments()["identity"].user_case(problem, True))
    assert_close(result.beta.sel(p=0.5).values, slopes, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("learner", "n_points", "runs", "left_out"),
    [
        ("logistic", 12, {"identity", "budget", "lds", "scale", "counterfactual"}, {"scale_at_size", "training_time", "jumps"}),
        ("logistic", 18, {"identity", "spectrum", "lds", "scale_at_size"}, {"budget", "expansion"}),
        ("logistic", 60, {"identity", "group_removal", "lds", "scale", "scale_at_size"}, {"budget", "spectrum", "estimators"}),
        ("mlp", 8, {"training_time", "average_derivative", "seeds", "budget"}, {"identity", "scale", "jumps", "interpolation"}),
        ("mlp", 20, {"identity", "group_removal", "lds"}, {"training_time", "seeds", "spectrum", "scale_at_size"}),
    ],
)
@pytest.mark.parametrize("small", [False, True])
def test_which_experiments_run_is_decided_by_learner_and_number_of_points(vote, learner, n_points, runs, left_out, small):
    problem = user_problem(vote, learner, n_points)
    jobs, reasons = user_jobs(problem, small=small)
    names = {job.experiment for job in jobs}
    assert runs <= names
    assert left_out <= set(reasons)
    assert names | set(reasons) == set(all_experiments())
    assert not names & set(reasons)
    for job in jobs:
        if "-first-" not in job.config.problem.name:
            assert len(job.config.problem.load().X) == n_points


def wide_file(folder, n_rows=60, n_columns=50):
    """Two classes, and so many columns that the average derivative of 12 points takes too long."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((n_rows, n_columns))
    path = folder / "wide.csv"
    lines = [",".join([*(f"{x:.17g}" for x in row), "ab"[k % 2]]) for k, row in enumerate(table)]
    path.write_text("\n".join([",".join([*(f"x{k}" for k in range(n_columns)), "y"]), *lines]))
    return path


def test_where_the_average_derivative_is_too_expensive_it_takes_the_first_points(tmp_path):
    problem = user_problem(as_user_data(wide_file(tmp_path), "y"), "logistic", 12)
    whole, part = all_experiments()["identity"].user_case(problem, False)
    assert (whole.most_derivatives, whole.problem) == (0, problem)
    few = part.problem.n_points
    assert part.problem.name == f"wide.csv-12-first-{few} logistic l2=0.1"
    assert 4 <= few < 12
    assert part.most_derivatives >= 24 * few * 2 ** (few - 1)


@pytest.mark.parametrize(("n", "few"), [(12, 6), (40, 12), (200, 10)])
def test_the_first_points_are_rows_that_train_with_as_many_points_and_stand_as_in_the_whole(vote, n, few):
    whole = user_problem(vote, "logistic", n)
    part, data = first_points(whole, few).load(), whole.load()
    assert set(part.train_rows) <= set(data.train_rows)
    assert part.train_rows == user_problem(vote, "logistic", few).load().train_rows
    kept = [data.train_rows.index(row) for row in part.train_rows]
    assert_identical(part.X, data.X[kept])
    assert_identical(part.y, data.y[kept])
    assert_identical(part.X_query, data.X_query)
    assert part.query_rows == data.query_rows
    assert not set(part.train_rows) & set(part.query_rows)


def test_first_points_need_a_users_file_that_has_them(vote):
    with pytest.raises(ValueError, match="expected at most its 12 points"):
        first_points(user_problem(vote, "logistic", 12), 13)
    with pytest.raises(ValueError, match="a number of training points is needed"):
        FirstRows.of(vote, 12).load(None)


def test_every_claim_is_judged_or_has_its_reason(tmp_path, vote):
    problem = user_problem(vote, "logistic", 5)
    jobs, reasons = user_jobs(problem, small=True)
    cheap = [job for job in jobs if job.experiment in ("identity", "expansion", "normalisation", "scale", "spectrum", "leverage")]
    results = run_cases(cheap, out=tmp_path, quiet=True)
    ledger = judge(results, reasons)
    judged, absent = ledger.verdicts, ledger.not_judged
    assert [claim.id for claim in all_claims()] == sorted(
        (c.id for c, _ in [*judged, *absent]), key=[claim.id for claim in all_claims()].index
    )
    why = {claim.id: reason for claim, reason in absent}
    assert why["C2"] == "optima is for --learner mlp"
    assert why["C12"] == "pathology needs a learner of its own"
    assert why["C4"] == "approximations has no results"
    assert "without penalty" in why["T6"]
    verdicts = {claim.id: verdict for claim, verdict in judged}
    assert verdicts["C6"].status == "FAILS"
    assert verdicts["T1"].status == "HOLDS"
    assert verdicts["T2"].status == "HOLDS WHEN"


def test_an_identity_whose_quadrature_has_not_converged_is_inconclusive(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 2))
    path = tmp_path / "separable.csv"
    path.write_text("a,b,y\n" + "".join(f"{u!r},{v!r},{'yes' if u > 0 else 'no'}\n" for u, v in x.tolist()))
    problem = user_problem(as_user_data(path, "y"), "logistic", 6, l2=1e-6)
    jobs, reasons = user_jobs(problem, small=True)
    results = run_cases([job for job in jobs if job.experiment in ("identity", "expansion")], out=tmp_path / "o", quiet=True)
    ledger = judge(results, reasons)
    verdicts = {claim.id: verdict.status for claim, verdict in ledger.verdicts}
    assert (verdicts["T4"], verdicts["T5"]) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert {"C1", "C6", "T1", "T3"} <= {claim.id for claim, _ in ledger.verdicts}
