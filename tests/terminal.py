"""A terminal for tests: what a command leaves on it, line by line, and the bytes that it wrote."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from dataclasses import dataclass

_PART = re.compile(r"\x1b\[([\d;?]*)([A-Za-z])|([\r\n\b])|([^\x00-\x1f]+)")


@dataclass(frozen=True)
class Shown:
    """How a command ended, the lines that it left on the terminal, and all that it wrote there."""

    status: int
    lines: list[str]
    written: str


def on_a_terminal(command, *, columns=80, rows=60, **how):
    """Run a command whose standard output and error are one terminal."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {
        name: value for name, value in (how.pop("env", None) or os.environ).items() if name not in ("COLUMNS", "LINES")
    }
    process = subprocess.Popen(
        command, stdout=terminal, stderr=terminal, stdin=subprocess.DEVNULL, env={**environment, "TERM": "xterm"}, **how
    )
    os.close(terminal)
    written = b""
    while True:
        try:
            chunk = os.read(controller, 65536)
        except OSError:  # what Linux says at the end
            break
        if not chunk:
            break
        written += chunk
    os.close(controller)
    return Shown(process.wait(), left_on(written.decode()), written.decode())


def left_on(written):
    """The lines on a terminal after what was written: returns, line feeds, cursor up and erased lines count, colours do not."""
    lines, row, column = [""], 0, 0
    for number, letter, control, text in _PART.findall(written):
        if text:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + text + line[column + len(text) :]
            column += len(text)
        elif control == "\r":
            column = 0
        elif control == "\b":
            column = max(0, column - 1)
        elif control == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif letter == "A":
            row = max(0, row - int(number or 1))
        elif letter == "K":
            lines[row] = lines[row][:column]
        elif letter not in ("", "m"):
            raise ValueError(f"the terminal of the tests does not know CSI {number}{letter}")
    return [line.rstrip() for line in lines]
