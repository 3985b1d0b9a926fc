"""Test your own learner: `check_learner` checks it against every law in `laws` and reports broken laws with likely causes."""

from sims.testing.report import Finding, Report, check_learner

__all__ = ["Finding", "Report", "check_learner"]
