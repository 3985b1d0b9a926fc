"""Test your own learner or attribution method against every law that it should keep; broken laws come with likely causes.

`check_learner` checks a learner against `laws`, `check_attribution` a method that scores training points against `attributions`,
on the problems of `attribution_problems`. `conformance` makes the latter a test for pytest.
"""

from sims.testing.attributions import check_attribution, conformance
from sims.testing.report import Finding, Report, check_learner

__all__ = ["Finding", "Report", "check_attribution", "check_learner", "conformance"]
