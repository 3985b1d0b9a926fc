"""Estimate datamodels from sampled subsets, for training sets with too many points to enumerate all subsets.

`designs` draws the subsets to retrain on, some from `hadamard` matrices. `plans` says what to retrain for D(1), leave-one-out or
Shapley values, and estimates them. `inputs` checks the arguments of a fit. `fit` estimates the datamodel with `regression`
or `penalised`. `surrogates` reduces the retrainings needed by control variates. `stability` estimates the variance that the best
linear datamodel leaves unexplained.
"""
