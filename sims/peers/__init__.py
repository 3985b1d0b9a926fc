"""Measure what attribution libraries compute: their scores, stored with versions, judged against exact answers.

`truths` are four small problems as files; `scripts` compute a library's scores in an environment without this package;
`scores` holds what came out. `table` judges the stored scores, `formulas` has the formula behind each finding, and `page` writes
PEERS.md. `python -m sims.peers` is the command.
"""
