"""Retraining on many weights: `tables` has what users call; below it `engine` (where blocks are computed), `store` (tables
on disk, with the sha256 of every block) and `provenance` (what decides the bits of a table).
"""

from importlib.util import find_spec

if find_spec("fcntl") is None:  # it stands for all of POSIX that files, signals and processes need
    raise ImportError(
        "dfdw trains and stores on Linux and macOS: on Windows, run it in the Windows Subsystem for Linux (wsl --install). "
        "What is in `theory` works everywhere"
    )

from sims.retrain.tables import Responses, response_table, retrain_blocks, streamed_table, table_shape

__all__ = ["Responses", "response_table", "retrain_blocks", "streamed_table", "table_shape"]
