"""The essay's claims and the project's identities, each judged by one decorated function on labelled results.

Every module in this package is imported by `all_claims`: a new claim is one function under `@claim` in any file here.
"""

from theory.claims.ledger import Ledger, NotJudged, judge, outcome
from theory.claims.registry import Claim, OtherMeasure, Results, all_claims, claim
from theory.claims.sensitivity import first_data
from theory.claims.verdict import Evidence, NothingToJudgeError, Sensitivity, Status, Verdict

__all__ = [
    "Claim",
    "Evidence",
    "Ledger",
    "NotJudged",
    "NothingToJudgeError",
    "OtherMeasure",
    "Results",
    "Sensitivity",
    "Status",
    "Verdict",
    "all_claims",
    "claim",
    "first_data",
    "judge",
    "outcome",
]
