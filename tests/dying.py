"""A worker that dies at a kill point, in this process: what it was doing is left as a kill would leave it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kiln.ground import killpoints
from tests.clouds import Cloud


class Killed(BaseException):
    """What ends the worker as a kill would: no handler of ours catches it."""


@contextmanager
def dying(dies_at: Callable[[str], bool]) -> Iterator[None]:
    """Until its end, points at which it *dies_at* raise Killed; of those that are asked about the first is the last."""

    def die(point: str) -> None:
        if dies_at(point):
            raise Killed

    killpoints.listen(die)
    try:
        yield
    finally:
        killpoints.listen(None)


@contextmanager
def killed_at(point: str) -> Iterator[None]:
    """What ends at that point, which it must come to."""
    with dying(lambda passed: passed == point), pytest.raises(Killed):
        yield


def settle_killing(cloud: Cloud, after: int) -> bool:
    """Carry out tasks, but end at the point after so many; whether that point was reached."""
    left = iter(range(after))
    try:
        with dying(lambda _: next(left, None) is None):
            cloud.settle()
    except Killed:
        return True
    return False
