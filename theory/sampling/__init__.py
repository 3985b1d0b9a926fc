"""Datamodels from subsets that were drawn, where there are too many points for all subsets.

`designs` says which subsets to retrain on; `fit` estimates the datamodel, by `regression` or `penalised`, from `inputs` that it
checks; `surrogates` are control variates that save retrainings; `stability` estimates what a linear datamodel leaves unexplained.
"""
