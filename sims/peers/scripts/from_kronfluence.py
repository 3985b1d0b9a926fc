"""Compute the scores of kronfluence: influence with each of its curvatures."""

import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task
from problem import Run, main


def influence(truth, strategy, batch, dtype, damping_factor, reduction, use_empirical_fisher, target="loss"):
    """Return the pairwise scores, (query, train)."""
    loss = truth.loss(reduction)

    class Losses(Task):
        def compute_train_loss(self, batch, model, sample=False):
            output, target = model(batch[0]), batch[1]
            if sample:
                with torch.no_grad():
                    if truth.classes:
                        target = torch.multinomial(output.softmax(dim=1), 1)[:, 0]
                    else:
                        target = torch.bernoulli(output.sigmoid())
            return loss(output, target)

        def compute_measurement(self, batch, model):
            output = model(batch[0])
            if target == "margin":
                return truth.margins(output, batch[1]).sum()
            return truth.loss("sum")(output, batch[1])

    precision = getattr(torch, dtype)
    task = Losses()
    analyzer = Analyzer("a", prepare_model(truth.network(dtype), task), task, cpu=True, disable_tqdm=True)
    factors = FactorArguments(
        strategy=strategy,
        use_empirical_fisher=use_empirical_fisher,
        activation_covariance_dtype=precision,
        gradient_covariance_dtype=precision,
        lambda_dtype=precision,
        per_sample_gradient_dtype=precision,
    )
    analyzer.fit_all_factors("f", truth.training(dtype), per_device_batch_size=batch or truth.n, factor_args=factors)
    analyzer.compute_pairwise_scores(
        "s",
        "f",
        truth.queries(dtype),
        truth.training(dtype),
        per_device_query_batch_size=batch or truth.m,
        per_device_train_batch_size=batch or truth.n,
        score_args=ScoreArguments(
            damping_factor={"l2": truth.penalty, "default": 1e-8, "None": None}[damping_factor],
            precondition_dtype=precision,
            per_sample_gradient_dtype=precision,
            score_dtype=precision,
        ),
    )
    return analyzer.load_pairwise_scores("s")["all_modules"]


PROMISE = (
    "The computed loss as a scalar tensor. (compute_train_loss); use_empirical_fisher: 'approximates empirical Fisher "
    "(using true "
    "labels) instead of true Fisher (using sampled labels from model's outputs)'; damping_factor: 'Damping factor for inverse "
    "Hessian-vector product (iHVP).'",
    "docstrings of kronfluence.task.Task and kronfluence.arguments",
)


def runs():
    base = {"batch": None, "dtype": "float64", "damping_factor": "l2", "reduction": "sum", "use_empirical_fisher": True}
    for strategy in ("identity", "diagonal", "kfac", "ekfac"):
        yield Run("Analyzer", influence, {"strategy": strategy, **base}, "loss", *PROMISE)
    for change in (
        {"batch": 4},
        {"reduction": "mean"},
        {"reduction": "mean", "batch": 4},
        {"dtype": "float32"},
        {"damping_factor": "default"},
        {"damping_factor": "None"},
        {"use_empirical_fisher": False},
        {"target": "margin"},
    ):
        options = {"strategy": "ekfac", **base, **change}
        yield Run("Analyzer", influence, options, options.get("target", "loss"), *PROMISE)


main("kronfluence", list(runs()), ("logistic_spector", "two_moons_converged"))
