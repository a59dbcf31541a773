"""Kills a scenario at every step: a process that forks, and whose children die.

    echo SCENARIO FOLDER | python -m tests.kill.driver

A scenario's stock is laid out once. Then, for each kill point that it passes:
a copy of the data folder, and a child that plays the scenario there and dies. Then
Kiln is started again in that folder, and it is looked whether all is well, everything
asked once more, and looked again. For some points a child that starts again is
killed on its way, too. What was found is written to ``FOLDER/outcome``, and
a line to the output when it is: 0 if all kills could be done.

Who is to die is forked. Who looks is not: what a fork copies as it goes costs as much
again as a look, and of a Kiln that was closed as little is left in a process as in
those that were forked from one in which a Kiln had been.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kiln.ground import killpoints
from tests.kill import checks
from tests.kill.kilns import Script, keep, open_kiln, settle
from tests.kill.scenarios import SCENARIOS, Scenario

KILLED = 137
LANES = 2  #: Kills that go on at a time; they spend half their time waiting for QEMU's tools.


class Driver:
    """One scenario in one folder."""

    def __init__(self, scenario: Scenario, folder: Path, stock: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.scenario = scenario
        self.folder = folder
        self.stock = stock or folder / "stock"
        self.words = folder / "words"

    def run(self) -> dict[str, Any]:
        """Every kill there is; what was killed, and what was found wrong."""
        began = time.monotonic()
        # Here, and not in a child: every child inherits what was imported and compiled on the way.
        self._lay_out()
        warm = self._fresh("warm")
        self._play(warm)
        self._look(warm)
        points = self._passed(self._fresh("dry"), self._play)
        gc.freeze()  # A child that collects garbage would touch, and so copy, all that it inherited.
        lanes = [self._start_lane(points, lane) for lane in range(LANES)]
        ends = [os.waitpid(child, 0)[1] for child in lanes]
        outcomes = [json.loads((self.folder / f"lane-{lane}" / "outcome").read_text()) for lane in range(LANES)]
        return {
            "points": points,
            "kills": sum(outcome["kills"] for outcome in outcomes),
            "twice": sum(outcome["twice"] for outcome in outcomes),
            "wrong": [f"a lane ended with {end}" for end in ends if end]
            + [words for outcome in outcomes for words in outcome["wrong"]],
            "seconds": round(time.monotonic() - began, 1),
        }

    def _start_lane(self, points: list[str], lane: int) -> int:
        """Have a child do every second kill, in a folder of its own."""
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            one = Driver(self.scenario, self.folder / f"lane-{lane}", self.stock)
            one._speak()
            outcome = one._kill_all(list(enumerate(points))[:: self.scenario.every][lane::LANES])
            (one.folder / "outcome").write_text(json.dumps(outcome))
            status = 0
        finally:
            os._exit(status)

    def _kill_all(self, places: list[tuple[int, str]]) -> dict[str, Any]:
        wrong: list[str] = []
        twice = 0
        for number, point in places:
            is_twice = zlib.crc32(point.encode()) % 8 == number % 8
            twice += is_twice
            wrong += self._kill(number, point, is_twice=is_twice)
        return {"kills": len(places), "twice": twice, "wrong": wrong}

    def _kill(self, number: int, point: str, *, is_twice: bool) -> list[str]:
        """*is_twice*: what the kill left is also the beginning of a start that is killed."""
        place = f"killed at {number} {point}"
        data = self._fresh(f"data-{number}")
        wrong = self._dies(place, data, self._play, number)
        if wrong:
            return wrong
        again = self.folder / f"twice-{number}"
        if is_twice:
            _copy(data, again)
        wrong = self._wrong(place, data)
        return wrong + self._kill_again(place, number, again) if is_twice else wrong

    def _kill_again(self, place: str, number: int, data: Path) -> list[str]:
        """The start after a kill dies at one of its own points, a different one each time."""
        spare = self.folder / "spare"
        _copy(data, spare)
        points = self._passed(spare, self._restart)
        if not points:
            return []
        second = number % len(points)
        place = f"{place}, and starting again at {second} {points[second]}"
        return self._dies(place, data, self._restart, second) or self._wrong(place, data)

    def _dies(self, place: str, data: Path, act: Callable[[Path], None], number: int) -> list[str]:
        """Have *act* be killed at its kill point *number*; what is wrong if it was not."""
        ended = self.in_child(lambda: act(data), number)
        return [] if ended == KILLED else [f"{place}: did not come there: {self._said()}"]

    def _wrong(self, place: str, data: Path) -> list[str]:
        """What is found wrong by a start in a folder that a kill left, which is then removed."""
        try:
            self._look(data)
        except Exception:  # noqa: BLE001 - whatever it is, it is wrong.
            return [f"{place}: {traceback.format_exc()}: {self._said()}"]
        finally:
            shutil.rmtree(data)
        return []

    def _lay_out(self) -> None:
        facts = {}
        if self.scenario.arrange is None:
            self.stock.mkdir()
        else:
            with open_kiln(self.stock) as cloud:
                facts = self.scenario.arrange(cloud)
                settle(cloud)
                if self.scenario.is_kept:
                    keep(cloud)
        (self.stock / "facts").write_text(json.dumps(facts))

    def _fresh(self, name: str) -> Path:
        _copy(self.stock, self.folder / name)
        return self.folder / name

    def _play(self, data: Path) -> None:
        with open_kiln(data) as cloud:
            self.scenario.act(Script(cloud, data / "answers"), _facts(data))

    def _restart(self, data: Path) -> None:
        with open_kiln(data) as cloud:
            settle(cloud)
            keep(cloud)

    def _look(self, data: Path) -> None:
        """Start again, look, ask all again, look again."""
        with open_kiln(data) as cloud:
            settle(cloud)
            keep(cloud)
            self._judge(cloud, Script(cloud, data / "answers"), _facts(data))
            checks.nothing_is_astray(cloud)
            self.scenario.act(Script(cloud, data / "answers"), _facts(data))
            self._judge(cloud, Script(cloud, data / "answers"), _facts(data))

    def _judge(self, cloud: Any, script: Script, facts: dict[str, Any]) -> None:
        settle(cloud)
        keep(cloud)
        checks.nothing_is_halfway(cloud)
        checks.every_name_is_kept(cloud)
        with checks.reading_together(cloud):
            self.scenario.check(cloud, facts, script.answers)

    def _passed(self, data: Path, act: Callable[[Path], None]) -> list[str]:
        """The kill points that *act* passes in *data*, in order."""
        path = self.folder / "points"

        def note() -> None:
            with path.open("w") as file:
                killpoints.listen(lambda point: print(point, file=file))
                act(data)

        if self.in_child(note) != 0:
            raise AssertionError(self._said())
        return path.read_text().split()

    def in_child(self, act: Callable[[], None], kill_at: int | None = None) -> int:
        """Do *act* in a forked process that dies at its kill point *kill_at*; its exit status."""
        self.words.write_text("")
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        status = 1
        self._speak()
        try:
            if kill_at is not None:
                killpoints.listen(_killer(kill_at))
            act()
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may get out of here into a second run of the driver.
            traceback.print_exc()
        os._exit(status)

    def _speak(self) -> None:
        """Have all that this process says written to ``words``."""
        with self.words.open("a") as words:
            os.dup2(words.fileno(), 1)
            os.dup2(words.fileno(), 2)

    def _said(self) -> str:
        return self.words.read_text()[-4000:]


def _killer(number: int) -> Callable[[str], None]:
    left = number

    def hook(_: str) -> None:
        nonlocal left
        if left == 0:
            os._exit(KILLED)
        left -= 1

    return hook


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; names of one file are names of one file in the copy, too."""
    shutil.rmtree(target, ignore_errors=True)
    copied: dict[int, str] = {}

    def copy(name: str, wanted: str) -> None:
        file = Path(name).lstat().st_ino
        if file in copied:
            os.link(copied[file], wanted)
        else:
            copied[file] = wanted
            shutil.copy2(name, wanted)

    shutil.copytree(source, target, symlinks=True, copy_function=copy)


def _facts(data: Path) -> dict[str, Any]:
    return json.loads((data / "facts").read_text())


def main() -> None:
    for line in sys.stdin:
        name, folder = line.split()
        child = os.fork()
        if child:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            sys.stdout.write(f"{status}\n")
            sys.stdout.flush()
            continue
        status = 1
        try:
            outcome = Driver(SCENARIOS[name], Path(folder)).run()
            (Path(folder) / "outcome").write_text(json.dumps(outcome))
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may get out of here into a second run of the driver.
            traceback.print_exc()
        os._exit(status)


if __name__ == "__main__":
    main()
