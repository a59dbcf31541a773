"""Kills a scenario where what a kill leaves cannot be put on a shelf: on PostgreSQL, and on a Ceph.

    echo SCENARIO FOLDER SERVER [CONFIGURATION] | python -m tests.kill.deaths

*SERVER* is the address of a PostgreSQL; *CONFIGURATION* is the file of a Ceph, and without it the pool is a folder.
Each kill has a database, a folder and a namespace of its own. There a stock is laid out, a child plays the scenario and
dies, and another starts Kiln in what it left and looks at it, as those of ``tests.kill.driver`` do. What was found is
written to ``FOLDER/outcome``.

Some kills are tried at once: on a Ceph most of their time goes into waiting until it believes that the dead are dead.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.ceph import POOL
from tests.clouds import Cloud
from tests.forks import fork_for_each_line
from tests.kill.driver import KILLED, Driver, killer
from tests.kill.kilns import open_kiln
from tests.kill.scenarios import SCENARIOS, Scenario
from tests.pools.kills import points_of
from tests.postgresql import make_database

AT_ONCE = 4

#: A server that has forty others beside it lets nobody in for longer than a Kiln waits by itself.
UNHURRIED = {f"database_{what}_timeout": "300s" for what in ("connect", "statement", "lock")}


class Place(Driver):
    """One database, folder and namespace, in which a scenario is played and killed once."""

    def __init__(self, scenario: Scenario, folder: Path, address: str, configuration: str) -> None:
        super().__init__(scenario, folder)
        self._settings: dict[str, Any] = {"database": address, "shared": folder / "shared", **UNHURRIED}
        if configuration:
            namespace = "-".join(folder.parts[-2:])
            self._settings |= {"pool": f"rbd:{POOL}/{namespace}", "ceph_conf": configuration}

    def opened(self, data: Path) -> AbstractContextManager[Cloud]:
        """A Kiln there."""
        return open_kiln(data, **self._settings)

    def passed(self) -> list[str]:
        """The kill points that the scenario passes here, in order. Raises AssertionError where a child did not."""
        path = self.folder / "passed"
        self._do(self._lay_out)
        self._do(lambda: path.write_text(json.dumps(points_of(lambda: self._play(self.stock)))))
        return list(json.loads(path.read_text()))

    def dies_at(self, number: int, place: str) -> list[str]:
        """What is wrong after a kill at the point of that number."""
        self._do(self._lay_out)
        if (ended := self.in_child(lambda: self._play(self.stock), killer(number))) != KILLED:
            return [f"{place}: did not come there, but ended with {ended}: {self._said()}"]
        if self.in_child(lambda: self._look(self.stock)):
            return [f"{place}: {self._said()}"]
        return []

    def _do(self, act: Any) -> None:
        if self.in_child(act):
            raise AssertionError(self._said())


class Deaths:
    """All kills of a scenario, or as many as its ``every`` says."""

    def __init__(self, name: str, folder: Path, server: str, configuration: str) -> None:
        self._scenario = SCENARIOS[name]
        self._folder, self._server, self._configuration = folder, server, configuration

    def run(self) -> dict[str, Any]:
        """What was killed, and what was found wrong."""
        with self._place("dry") as place:
            points = place.passed()
        numbers = range(0, len(points), self._scenario.every)
        running: dict[int, int] = {}
        wrong: list[str] = []
        for number in numbers:
            if len(running) == AT_ONCE:
                wrong += self._ended(running)
            running[self._begin(number, f"killed at {number} {points[number]}")] = number
        while running:
            wrong += self._ended(running)
        return {"points": points, "kills": len(numbers), "wrong": wrong}

    def _begin(self, number: int, said: str) -> int:
        """Have a child do one kill; its number."""
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            with self._place(str(number)) as place:
                wrong = place.dies_at(number, said)
            self._outcome(number).write_text(json.dumps(wrong))
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may get out of here into a second run.
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)

    def _ended(self, running: dict[int, int]) -> list[str]:
        """What was found by the next child that ends."""
        child, status = os.wait()
        number = running.pop(child)
        return [f"the kill {number} ended with {status}"] if status else json.loads(self._outcome(number).read_text())

    def _outcome(self, number: int) -> Path:
        return self._folder / f"outcome-{number}"

    @contextmanager
    def _place(self, name: str) -> Iterator[Place]:
        with make_database(self._server) as address:
            folder = self._folder / name
            (folder / "shared").mkdir(parents=True)
            yield Place(self._scenario, folder, address, self._configuration)


def main(name: str, folder: str, server: str, configuration: str = "") -> None:
    outcome = Deaths(name, Path(folder), server, configuration).run()
    (Path(folder) / "outcome").write_text(json.dumps(outcome))


if __name__ == "__main__":
    fork_for_each_line(main)
