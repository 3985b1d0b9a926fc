"""Collect what learners with a linear predictor share: `erm` (their objective and its derivatives), `batched` (small systems)."""
