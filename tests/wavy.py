"""A learner for tests of the engine: cheap, told apart by its fields, and able to wait, to count, to fail and to kill."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Wavy:
    """F = sin(sum_i i w_i + seed + output). `log` gets a line per block; `cure` is a file that ends `poison` and `broken`."""

    n_points: int = 10
    n_outputs: int = 2
    delay: float = 0.0
    log: str = ""
    poison: tuple[int, ...] = ()
    broken: int = -1
    cure: str = ""
    block_rows = 32

    def respond(self, weights, seeds):
        weights = np.asarray(weights)
        first = int(weights[0] @ 2.0 ** np.arange(self.n_points))
        if len(weights) == self.block_rows:  # a block, and not the probe of how long one takes
            block = first // self.block_rows
            if self.log:
                with Path(self.log).open("a") as file:
                    file.write(f"{block} {os.getpid()}\n")
            if not (self.cure and Path(self.cure).exists()):
                if block in self.poison:
                    os.kill(os.getpid(), signal.SIGKILL)
                if block == self.broken:
                    raise ArithmeticError(f"no optimum in block {block}")
        time.sleep(self.delay)
        phase = weights @ np.arange(1.0, self.n_points + 1.0)
        return np.sin(phase[:, None, None] + np.asarray(seeds)[None, :, None] + np.arange(self.n_outputs))

    def computed(self):
        """The blocks that were asked for so far, in order."""
        return [int(line.split()[0]) for line in Path(self.log).read_text().splitlines()] if Path(self.log).exists() else []
