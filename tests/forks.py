"""A process that is started once for many tests and forks for each: what it imports takes longer than many a test.

with open_forks(words, sys.executable, "-m", "tests.kill.driver") as do:    # in the tests
    assert do("create_image", folder) == ""

fork_for_each_line(lambda name, folder: ...)    # in that module's main
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def open_forks(words: Path, *command: str) -> Iterator[Callable[..., str]]:
    """Start *command*; what is yielded has it do something with words without blanks.

    It returns the empty text when that went well, and else all that was said, which goes to the file *words*.
    """
    with (
        words.open("w") as said,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):

        def do(*told: object) -> str:
            before = words.stat().st_size
            process.stdin.write(" ".join(map(str, told)) + "\n")
            process.stdin.flush()
            ended = process.stdout.readline()
            return "" if ended == "0\n" else f"ended with {ended!r}: {words.read_bytes()[before:].decode()}"

        yield do


def fork_for_each_line(act: Callable[..., None]) -> None:
    """Do *act* with the words of each line of the input, in a child; say how it ended: 0 when nothing was raised."""
    for line in sys.stdin:
        child = os.fork()
        if child:
            sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
            sys.stdout.flush()
            continue
        status = 1
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # What it and its tools say is no word of how it ended.
        try:
            act(*line.split())
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may get out of here into what reads the next line.
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)
