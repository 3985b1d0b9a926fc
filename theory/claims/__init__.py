"""The essay's claims and the project's identities, each judged by one decorated function on labelled results.

A module in this package is found by itself: a new claim is one function under `@claim` in any file here.
"""

from theory.claims.verdict import (
    Claim,
    Evidence,
    NothingToJudgeError,
    Results,
    Status,
    Verdict,
    all_claims,
    claim,
    judge,
    not_judged,
)

__all__ = [
    "Claim",
    "Evidence",
    "NothingToJudgeError",
    "Results",
    "Status",
    "Verdict",
    "all_claims",
    "claim",
    "judge",
    "not_judged",
]
