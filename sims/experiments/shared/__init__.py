"""The package holds the code that experiments share.

`problem` builds a learner on a data set, and `experiment` defines what an experiment is. `labels` gives results named dimensions,
`results` stores them, `cases` runs many cases, and `user_cases` makes cases from a user's own data. `effects`, `scores` and
`conditioning` compute measurements.
"""
