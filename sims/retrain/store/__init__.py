"""Tables of responses on disk that survive whatever happens to the run that writes them.

`block_store` opens a table for a run, `layout` says which files it has and how a block becomes a chunk, `journal` lists the
blocks that are done, `check` finds damage and repairs it.
"""

from sims.retrain.store.block_store import BlockStore, NotStored, load, open_store
from sims.retrain.store.check import check, find_stores
from sims.retrain.store.journal import Damage
from sims.retrain.store.shape import TableShape

__all__ = ["BlockStore", "Damage", "NotStored", "TableShape", "check", "find_stores", "load", "open_store"]
