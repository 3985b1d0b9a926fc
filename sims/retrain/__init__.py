"""Retraining on many weights: `tables` has what users call; below it `engine` (where blocks are computed), `store` (tables
on disk, with the sha256 of every block) and `provenance` (what decides the bits of a table).
"""

from sims.retrain.tables import Responses, response_table, retrain_blocks, streamed_table, table_shape

__all__ = ["Responses", "response_table", "retrain_blocks", "streamed_table", "table_shape"]
