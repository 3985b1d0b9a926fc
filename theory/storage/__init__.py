"""Finished files and results on disk: written whole, listed with their sha256, compared with it when they are read.

`sims` writes them and `figures` reads them, so they are kept here, where both may look.
"""

from theory.storage.files import sync, write_whole
from theory.storage.folder import MANIFEST, ResultsFolder, digest, json_digest, keep, staying
from theory.storage.locks import locked
from theory.storage.results import case_folder, experiments_in, read, save

__all__ = [
    "MANIFEST",
    "ResultsFolder",
    "case_folder",
    "digest",
    "experiments_in",
    "json_digest",
    "keep",
    "locked",
    "read",
    "save",
    "staying",
    "sync",
    "write_whole",
]
