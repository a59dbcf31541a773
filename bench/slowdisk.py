"""A disk whose sync takes longer: the real one, each of whose syncs is held up when it is done.

strace does it: of a process that it starts it stops every thread that returns
from fsync or fdatasync, for so long, and nothing else (the kernel's own filter
lets all other calls pass untouched). What is written and synced is written and
synced; the other threads of the process go on meanwhile, as with a slow disk.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

#: Of every sync, on top of what it takes by itself.
EXTRA_MS = 5


def slowed(command: Sequence[str]) -> list[str]:
    """The command, started so that its syncs take longer; its process ID and its output are its own."""
    held = "fsync,fdatasync"
    quiet = ["-qq", "-o", "/dev/null"]
    held_up = ["-e", f"trace={held}", "-e", f"inject={held}:delay_exit={EXTRA_MS * 1000}"]
    return ["strace", "-D", "-f", "--seccomp-bpf", *quiet, *held_up, *command]


@cache
def reason_against() -> str:
    """Why no process can be slowed here; empty when one can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(slowed(["true"]), capture_output=True, text=True, check=False)
    return tried.stderr.strip() or ("" if tried.returncode == 0 else "strace may not follow a process here")


def commit_rows(folder: Path, count: int, group: int) -> float:
    """As ``bench.floors.commit_rows``, in a process whose syncs take longer."""
    code = (
        "import sys; from pathlib import Path; from bench.floors import commit_rows; "
        "print(commit_rows(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))"
    )
    command = slowed([sys.executable, "-c", code, str(folder), str(count), str(group)])
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)
