"""The shape of a table of responses, and its blocks."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["TableShape"]


@dataclass(frozen=True)
class TableShape:
    """A table has R seeds, 2^N subsets and M outputs, and is computed in blocks of `block_rows` subsets."""

    seeds: tuple[int, ...]
    n_subsets: int
    n_outputs: int
    block_rows: int

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "TableShape":
        """Return the shape that `as_json` made this record of."""
        return cls(tuple(record["seeds"]), record["n_subsets"], record["n_outputs"], record["block_rows"])

    @property
    def as_json(self) -> dict[str, Any]:
        """The shape as plain JSON values."""
        return {**asdict(self), "seeds": list(self.seeds)}

    @property
    def n_blocks(self) -> int:
        """The number of blocks; the last one may be shorter."""
        return -(-self.n_subsets // self.block_rows)

    def subsets(self, block: int) -> slice:
        """Return the subsets of a block."""
        return slice(block * self.block_rows, min((block + 1) * self.block_rows, self.n_subsets))

    def n_rows(self, blocks: Iterable[int]) -> int:
        """Return how many subsets blocks hold."""
        return sum(min(self.block_rows, self.n_subsets - block * self.block_rows) for block in blocks)

    def name(self, block: int) -> str:
        """Return the name of a block in messages."""
        subsets = self.subsets(block)
        return f"block {block} (subsets {subsets.start}..{subsets.stop - 1})"
