"""Collect the code that all learners share: `checks` of their arguments, and the `representation` of a learner as text."""
