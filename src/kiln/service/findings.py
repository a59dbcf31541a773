"""What was found of one thing that a host has, lacks or reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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


def looked_at(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What *look* finds; that its *subject* cannot be looked at, where that fails as nobody foresaw.

    Whoever has something that is broken calls the doctor, who has to come to an end with all the rest.
    """
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001 - it is told as what it is.
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        advice = "What it names is broken in a way that nobody foresaw: mend it, and tell the makers of Kiln."
        yield Finding(subject, "cannot", f"It cannot be looked at. {words}.", advice)
