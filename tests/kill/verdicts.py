"""What became of a served Kiln: looked at when it has been stopped, in its data folder and its log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clouds import Cloud
from tests.kill import checks
from tests.kill.kilns import keep, open_kiln, settle


def crashes(said: str) -> set[str]:
    """The exceptions that tasks and chores ended with, by class, as the log tells it."""
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return {
        event["exception"].splitlines()[-1].partition(":")[0].rpartition(".")[2]
        for event in events
        if "exception" in event
    }


@contextmanager
def at_rest(data: Path) -> Iterator[Cloud]:
    """What is in the data folder once all that was left to do is done: nothing is halfway, astray or broken."""
    with open_kiln(data) as cloud:
        settle(cloud)
        keep(cloud)
        checks.nothing_is_halfway(cloud)
        checks.every_name_is_kept(cloud)
        checks.nothing_is_astray(cloud)
        yield cloud


def is_of_one_instant(numbers: list[int]) -> bool:
    """Whether the numbers that the guest writes to its three disks, one after the other, are of one moment."""
    return len(numbers) == 3 and numbers == sorted(numbers, reverse=True) and numbers[0] - numbers[-1] <= 1
