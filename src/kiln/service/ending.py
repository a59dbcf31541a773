"""Ending a served Kiln that is a process of one's own: asked first, and by force where it takes too long."""

from __future__ import annotations

import subprocess
from typing import Any


def end(process: subprocess.Popen[Any], within_s: float) -> bool:
    """Have *process* end, if it has not; returns whether it did so by itself. It has ended when this returns."""
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True
