"""Datamodels estimated from drawn subsets, for training sets with too many points to enumerate all subsets.

`designs` draws the subsets to retrain on; `fit` estimates the datamodel, by `regression` or `penalised`, from arguments that
`inputs` checks; `surrogates` has control variates, which save retrainings; `stability` estimates the variance that a linear
datamodel leaves unexplained.
"""
