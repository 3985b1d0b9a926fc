"""What experiments share.

`problem` (a learner on a data set), `experiment` (config, cases and run), `labels` (results with named dimensions), `results` (on
disk), `cases` (run many, store each), `user_cases` (on a user's own data); `effects`, `scores`, `conditioning` are measurements.
"""
