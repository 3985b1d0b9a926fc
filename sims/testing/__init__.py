"""Test your own learner: `check_learner` tries every law of `laws` on it; `report` says which are broken, and the cause."""

from sims.testing.report import Finding, Report, check_learner

__all__ = ["Finding", "Report", "check_learner"]
