"""Compute the influence measures of statsmodels on ridge regression, as least squares with appended rows."""

import numpy as np
from problem import Run, main
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.outliers_influence import OLSInfluence


def dfbeta(truth):
    """Return the changes of the predictions for the queries on removal of each point, (train, query)."""
    X, y, n_params = truth.arrays["X"], truth.arrays["y"], truth.n_params
    rows = np.sqrt(truth.n * truth.penalty) * np.eye(n_params)
    fitted = OLS(np.concatenate([y, np.zeros(n_params)]), np.concatenate([X, rows])).fit()
    return OLSInfluence(fitted).dfbeta[: truth.n] @ truth.arrays["X_query"].T


main(
    "statsmodels",
    [
        Run(
            "OLSInfluence.dfbeta",
            dfbeta,
            {},
            "margin",
            "uses results from leave-one-observation-out loop",
            "docstring of OLSInfluence.dfbeta",
        )
    ],
    ("ridge_longley",),
)
