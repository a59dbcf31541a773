"""Kills a scenario at every step: a process that forks, and whose children die.

    echo SCENARIO FOLDER | python -m tests.kill.driver

A scenario's stock is laid out once, and the scenario played once in a copy of it, by a
child. At each kill point that it passes, what is in the data folder there is put on a
shelf: a kill would leave that. Then, for each point: Kiln is started in what was
left, and it is looked whether all is well, everything asked once more, and looked again.
Points between which nothing was changed leave the same, which is looked at once.

For one point in eight the start that follows is killed on its way, too, by a death: of a
child, which is looked at as the others are. Likewise for a point in the midst, and for
all at which a tool or a thread is at work that would go on for a moment, a child plays
the scenario anew and dies there. What is left by a death beside which nothing else was at
work is compared with what lay there just before, for that is what the shelf rests on.
What was found is written to ``FOLDER/outcome``, and a line to the output when it is: 0 if
all kills could be done.

Who is to die is forked. Who looks is not: what a fork copies as it goes costs as much
again as a look, and of a Kiln that was closed as little is left in a process as in
those that were forked from one in which a Kiln had been.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import shutil
import time
import traceback
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiln.ground import killpoints
from tests.clouds import Cloud
from tests.copies import copied
from tests.forks import fork_for_each_line
from tests.kill import checks
from tests.kill.kilns import Script, keep, open_kiln, settle
from tests.kill.scenarios import SCENARIOS, Scenario
from tests.kill.states import Shelf, State, is_alone
from tests.pools.kills import points_of

KILLED = 137
LANES = 2  #: Kills that go on at a time; they spend a part of their time waiting for QEMU's tools.
_TWICE = 8  #: After one kill of so many the start is killed, too.


@dataclass(frozen=True)
class Moment:
    """A kill point that was passed. *left*: what a kill there leaves; None where a death has to tell or nobody asks."""

    point: str
    left: State | None


@dataclass(frozen=True)
class Kill(Moment):
    """A kill that is to be tried.

    *is_death*: a child dies of it, whatever is known of what it leaves. *is_twice*: what it leaves is
    also the beginning of a start that is killed.
    """

    number: int
    is_death: bool
    is_twice: bool

    def __str__(self) -> str:
        return f"killed at {self.number} {self.point}"


class Driver:
    """One scenario in one folder."""

    def __init__(self, scenario: Scenario, folder: Path, origin: Driver | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.scenario = scenario
        self.folder = folder
        self.stock: Path = origin.stock if origin else folder / "stock"
        self.shelf: Shelf = origin.shelf if origin else Shelf(folder / "shelf")
        self.words = folder / "words"
        self._passed_at_start: list[str] = []  #: By the start that was looked at last.
        self._started: dict[State, list[str]] = {}  #: From what starts were looked at, and the points that they passed.
        self._deaths = self._looks = 0

    def opened(self, data: Path) -> AbstractContextManager[Cloud]:
        """A Kiln in a folder."""
        return open_kiln(data)

    def run(self) -> dict[str, Any]:
        """Every kill there is; what was killed, and what was found wrong."""
        began = time.monotonic()
        # Here, and not in a child: every child inherits what was imported and compiled on the way.
        self._lay_out()
        warm = self._fresh("warm")
        self._play(warm)
        self._look(warm)
        moments = self._moments(self._fresh("dry"))
        gc.freeze()  # A child that collects garbage would touch, and so copy, all that it inherited.
        shares = _shares(_kills(moments, self.scenario.every))
        lanes = [self._start_lane(share, lane) for lane, share in enumerate(shares)]
        ends = [os.waitpid(child, 0)[1] for child in lanes]
        outcomes = [json.loads((self.folder / f"lane-{lane}" / "outcome").read_text()) for lane in range(LANES)]
        return {
            "points": [moment.point for moment in moments],
            **{count: sum(outcome[count] for outcome in outcomes) for count in ("kills", "deaths", "looks")},
            "wrong": [f"a lane ended with {end}" for end in ends if end]
            + [words for outcome in outcomes for words in outcome["wrong"]],
            "seconds": round(time.monotonic() - began, 1),
        }

    def _start_lane(self, share: list[Kill], lane: int) -> int:
        """Have a child do these kills, in a folder of its own."""
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            one = Driver(self.scenario, self.folder / f"lane-{lane}", self)
            one._speak()
            (one.folder / "outcome").write_text(json.dumps(one._kill_all(share)))
            status = 0
        finally:
            os._exit(status)

    def _kill_all(self, share: list[Kill]) -> dict[str, Any]:
        wrong = [words for kill in share for words in self._kill(kill)]
        return {"kills": len(share), "deaths": self._deaths, "looks": self._looks, "wrong": wrong}

    def _kill(self, kill: Kill) -> list[str]:
        left, data, wrong = kill.left, self.folder / f"data-{kill.number}", []
        if left is None or kill.is_death:
            copied(self.stock, data)
            wrong = self._dies(str(kill), data, self._play, kill.number)
            if wrong:
                return wrong
            left = self.shelf.take(data)
        elif left not in self._started:
            self.shelf.lay_out(left, data)
        if left not in self._started:
            wrong = self._wrong(str(kill), data)
            self._started[left] = self._passed_at_start
        return wrong + self._kill_again(kill, left) if kill.is_twice else wrong

    def _kill_again(self, kill: Kill, left: State) -> list[str]:
        """The start after a kill dies at one of its own points, a different one each time."""
        points = self._started[left]
        if not points:
            return []
        data = self.folder / f"twice-{kill.number}"
        self.shelf.lay_out(left, data)
        second = kill.number % len(points)
        place = f"{kill}, and starting again at {second} {points[second]}"
        return self._dies(place, data, self._restart, second) or self._wrong(place, data)

    def _dies(self, place: str, data: Path, act: Callable[[Path], None], number: int) -> list[str]:
        """Have *act* be killed at its kill point *number*; what is wrong if it was not, or left something else."""
        path = self.folder / "last"

        def look_last() -> None:
            path.write_bytes(pickle.dumps(self._left(data)))

        self._deaths += 1
        ended = self.in_child(lambda: act(data), killer(number, look_last))
        if ended != KILLED:
            return [f"{place}: did not come there: {self._said()}"]
        left = pickle.loads(path.read_bytes())
        return [f"{place}: its end changed what is in the folder"] if left not in (None, self.shelf.take(data)) else []

    def _left(self, data: Path) -> State | None:
        """What a kill leaves now; None where a tool or a thread would go on with it."""
        # Closing the database's files lets go of the locks that this process has on them, which nobody else wants.
        return self.shelf.take(data) if is_alone() else None

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
            with self.opened(self.stock) as cloud:
                facts = self.scenario.arrange(cloud)
                settle(cloud)
                if self.scenario.is_kept:
                    keep(cloud)
        (self.stock / "facts").write_text(json.dumps(facts))

    def _fresh(self, name: str) -> Path:
        return copied(self.stock, self.folder / name)

    def _play(self, data: Path) -> None:
        with self.opened(data) as cloud:
            self.scenario.act(Script(cloud, data / "answers"), _facts(data))

    def _restart(self, data: Path) -> None:
        with self.opened(data) as cloud:
            settle(cloud)
            keep(cloud)

    def _look(self, data: Path) -> None:
        """Start again, look, ask all again, look again."""
        self._looks += 1
        self._passed_at_start = []
        killpoints.listen(self._passed_at_start.append)
        with ExitStack() as stack, self.opened(data) as cloud:
            stack.callback(killpoints.listen, None)
            settle(cloud)
            keep(cloud)
            killpoints.listen(None)
            self._judge(cloud, Script(cloud, data / "answers"), _facts(data))
            checks.nothing_is_astray(cloud)
            self.scenario.act(Script(cloud, data / "answers"), _facts(data))
            settle(cloud)
            keep(cloud)
            self._judge(cloud, Script(cloud, data / "answers"), _facts(data))

    def _judge(self, cloud: Any, script: Script, facts: dict[str, Any]) -> None:
        checks.nothing_is_halfway(cloud)
        checks.every_name_is_kept(cloud)
        with checks.reading_together(cloud):
            self.scenario.check(cloud, facts, script.answers)

    def points(self) -> list[str]:
        """The kill points of the scenario that are tried, in order."""
        self._lay_out()
        return points_of(lambda: self._play(self.stock))[:: self.scenario.every]

    def _moments(self, data: Path) -> list[Moment]:
        """The kill points that the scenario passes in *data*, in order, and of those that are tried what is left."""
        path = self.folder / "passed"
        passed: list[Moment] = []

        def pass_by(point: str) -> None:
            is_tried = len(passed) % self.scenario.every == 0
            passed.append(Moment(point, self._left(data) if is_tried else None))

        def note() -> None:
            killpoints.listen(pass_by)
            self._play(data)
            killpoints.listen(None)
            path.write_bytes(pickle.dumps(passed))

        if self.in_child(note) != 0:
            raise AssertionError(self._said())
        return pickle.loads(path.read_bytes())

    def in_child(self, act: Callable[[], None], hook: Callable[[str], None] | None = None) -> int:
        """Do *act* in a forked process in which *hook* hears of kill points; its exit status."""
        self.words.write_text("")
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        status = 1
        self._speak()
        try:
            killpoints.listen(hook)
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


def _kills(moments: list[Moment], every: int) -> list[Kill]:
    """What is tried of a scenario's points, with one death in its midst."""
    numbers = range(0, len(moments), every)
    midst = numbers[len(numbers) // 2]
    twice = {n for n in numbers if zlib.crc32(moments[n].point.encode()) % _TWICE == n % _TWICE} | {midst}
    return [Kill(**vars(moments[n]), number=n, is_death=n == midst, is_twice=n in twice) for n in numbers]


def _shares(kills: list[Kill]) -> list[list[Kill]]:
    """The kills of each lane, of which one does all that leave the same."""
    lanes: dict[State, int] = {}
    shares: list[list[Kill]] = [[] for _ in range(LANES)]
    for kill in kills:
        lane = kill.number if kill.left is None else lanes.setdefault(kill.left, len(lanes))
        shares[lane % LANES].append(kill)
    return shares


def killer(number: int, before: Callable[[], None] = lambda: None) -> Callable[[str], None]:
    """What dies at the kill point *number* that it hears of, after it has done something *before*."""
    left = number

    def hook(_: str) -> None:
        nonlocal left
        if left == 0:
            before()
            os._exit(KILLED)
        left -= 1

    return hook


def _facts(data: Path) -> dict[str, Any]:
    return json.loads((data / "facts").read_text())


def main(name: str, folder: str) -> None:
    outcome = Driver(SCENARIOS[name], Path(folder)).run()
    (Path(folder) / "outcome").write_text(json.dumps(outcome))


if __name__ == "__main__":
    fork_for_each_line(main)
