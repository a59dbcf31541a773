"""What was found of one thing that a host has, lacks or reaches."""

from __future__ import annotations

from typing import Literal

from kiln.ground.values import dataclass

State = Literal["ok", "warns", "cannot"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: State
    text: str  #: What is so, and what that means.
    advice: str = ""  #: What to do; empty where nothing is to be done.
