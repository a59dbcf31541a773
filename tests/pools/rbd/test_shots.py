"""What is done with several images at once, of which one fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln.pools.rbd.shots import done_for_all


class Missing(Exception):
    pass


def test_what_fails_for_one_is_told_when_it_has_ended_for_all():
    is_told, ended = threading.Event(), []

    def work(image):
        if image == "missing":
            raise Missing
        if not is_told.wait(0.3):
            ended.append(image)

    with ThreadPoolExecutor(3) as several:
        with pytest.raises(Missing):
            done_for_all(several, work, ["missing", "one", "two"])
        is_told.set()

    assert sorted(ended) == ["one", "two"]
