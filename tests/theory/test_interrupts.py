"""Signals: one answer to any number of them, and none in the middle of what must be whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from theory.interrupts import interrupts_held_back

ROOT = Path(__file__).parents[2]
ALL = ("SIGHUP", "SIGINT", "SIGTERM")
PROGRAM = """
import os, signal, sys, time
from theory.interrupts import ended_in_order, interrupts_held_back

class Deleted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)  # KeyboardInterrupt is raised here, where Python drops it

def send(*names):
    for name in names:
        os.kill(os.getpid(), getattr(signal, name))

def command():
    {body}
    return 7

status = ended_in_order(command, kept="all is stored")
send("SIGINT", "SIGTERM")
sys.exit(status)
"""


def ended(body, before="", **options):
    program = PROGRAM.format(body=body.replace("\n", "\n    "))
    return subprocess.run(
        ["bash", "-c", f'{before} exec "$0" -c "$1"', sys.executable, program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


@pytest.mark.parametrize("first", ALL)
def test_the_first_of_many_signals_is_answered_in_one_line_and_all_others_are_ignored(first):
    process = ended(f"try:\n    send('{first}')\n    time.sleep(9)\nfinally:\n    send(*{ALL}, *{ALL})")
    assert process.returncode == 128 + getattr(signal, first)
    assert process.stderr == "Interrupted: all is stored. Run the same command to resume.\n"


def test_signals_that_come_at_the_same_moment_are_answered_once():
    together = (
        "signal.pthread_sigmask(signal.SIG_BLOCK, [1, 2, 15])\nsend(*ALL)\nsignal.pthread_sigmask(signal.SIG_UNBLOCK, [1, 2, 15])"
    )
    process = ended(together.replace("*ALL", ", ".join(map(repr, ALL))))
    assert process.returncode in (129, 130, 143)
    assert process.stderr == "Interrupted: all is stored. Run the same command to resume.\n"


def test_what_an_interrupt_says_is_stored_is_in_the_line():
    process = ended("raise KeyboardInterrupt('3/8 blocks are stored in r')")
    assert process.returncode == 130
    assert process.stderr == "Interrupted: 3/8 blocks are stored in r. Run the same command to resume.\n"


def test_an_interrupt_that_an_error_follows_is_an_interrupt():
    process = ended("try:\n    send('SIGTERM')\n    time.sleep(9)\nfinally:\n    raise OSError('the terminal is gone')")
    assert process.returncode == 143
    assert process.stderr.count("\n") == 1


def test_an_interrupt_that_python_drops_is_given_again():
    process = ended("Deleted()\nfor _ in range(900):\n    time.sleep(0.01)")
    assert process.returncode == 130
    assert process.stderr == "Interrupted: all is stored. Run the same command to resume.\n"


def test_signals_after_the_end_change_nothing():
    process = ended("pass")
    assert (process.returncode, process.stderr) == (7, "")


def test_a_signal_that_is_ignored_at_the_start_stays_ignored():
    process = ended("send('SIGHUP')\nwith interrupts_held_back():\n    send('SIGHUP')", before="trap '' HUP;")
    assert (process.returncode, process.stderr) == (7, "")


@pytest.mark.parametrize("name", ALL)
def test_every_signal_waits_until_the_block_has_ended(name):
    process = ended(f"with interrupts_held_back():\n    send('{name}')\n    time.sleep(0.05)\n    print('whole')")
    assert process.stdout == "whole\n"
    assert process.returncode == 128 + getattr(signal, name)


def test_a_signal_that_nobody_answers_ends_the_process_after_the_block():
    program = (
        "import os, signal\nfrom theory.interrupts import interrupts_held_back\nwith interrupts_held_back():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n    print('whole', flush=True)\nprint('after', flush=True)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert (process.returncode, process.stdout) == (-signal.SIGTERM, "whole\n")


def test_blocks_in_blocks_leave_mask_and_handlers_as_they_were():
    def state():
        return signal.pthread_sigmask(signal.SIG_BLOCK, ()), [signal.getsignal(getattr(signal, name)) for name in ALL]

    def inner():
        with interrupts_held_back():
            with interrupts_held_back():
                os.kill(os.getpid(), signal.SIGINT)
            reached.append("the end of the outer block")

    before, reached = state(), []
    with pytest.raises(KeyboardInterrupt):
        inner()
    assert reached
    assert state() == before
