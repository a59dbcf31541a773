"""What a campaign is: sections that try, verdicts, and what is told of them.

A section tries one kind of misfortune again and again, each time another
member of the kind that the seed chooses, and says of every try how it ended.
The seed and the number of the try make it again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

_TOLD_MOST = 10


class Verdict(StrEnum):
    """How a try ended."""

    HELD = "held"  #: Every promise was kept: it went on, or it was refused with words.
    LOST = "lost"  #: Something that was promised to be there is not, or reads as something else.
    ACCEPTED = "accepted"  #: Something was obeyed or believed that should have been refused.
    FAILED = "failed"  #: It crashed, hung, or answered that the fault was its own.


@dataclass(frozen=True)
class Outcome:
    """One try: what was done, how it ended, and for whoever has to see why, what was seen."""

    subject: str
    verdict: Verdict = Verdict.HELD
    seen: str = ""


@dataclass(frozen=True)
class Place:
    """Where a section works, and what it may use."""

    folder: Path  #: Its own, empty.
    chance: random.Random
    tries: int  #: How many are wanted; a section that has a fixed number of members may have fewer.


class Skipped(Exception):
    """Raised by a section that cannot be tried here; the text says what is missing.

    *may_be* when it is nothing that could be installed: what the kernel or the user may not do.
    """

    def __init__(self, missing: str, *, may_be: bool = False) -> None:
        super().__init__(missing)
        self.may_be = may_be


@dataclass(frozen=True)
class Section:
    """One kind of misfortune."""

    name: str
    what: str
    tries: int  #: In a whole campaign.
    short: int  #: In a short one.
    run: Callable[[Place], Iterator[Outcome]]


@dataclass
class Score:
    """What became of one section."""

    section: Section
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    seconds: float = 0.0
    skipped: str = ""
    may_be_skipped: bool = False

    @property
    def tried(self) -> int:
        """How many tries there were."""
        return sum(self.counts.values())

    @property
    def is_clean(self) -> bool:
        """Whether everything held."""
        return self.tried == self.counts[Verdict.HELD]

    def line(self) -> str:
        """For people."""
        if self.skipped:
            return f"{self.section.name:<10} skipped: {self.skipped}"
        counts = "  ".join(f"{self.counts[verdict]:>5} {verdict}" for verdict in list(Verdict)[1:])
        return f"{self.section.name:<10} {self.tried:>6} tried  {counts}  {self.seconds:6.1f} s"


@dataclass
class Campaign:
    """Runs sections and keeps the score."""

    seed: int
    is_short: bool
    say: Callable[[str], None]
    scores: list[Score] = field(default_factory=list)

    def run(self, section: Section, folder: Path, tries: int | None = None) -> Score:
        """Try one section in *folder*; its score."""
        folder.mkdir()
        wanted = tries if tries is not None else section.short if self.is_short else section.tries
        # Each section draws from its own source: leaving one out changes nothing for the others.
        place = Place(folder, random.Random(f"{self.seed}:{section.name}"), wanted)
        score = Score(section)
        self.scores.append(score)
        began = time.monotonic()
        try:
            for number, outcome in enumerate(section.run(place)):
                score.counts[outcome.verdict] += 1
                if outcome.verdict is not Verdict.HELD and score.tried - score.counts[Verdict.HELD] <= _TOLD_MOST:
                    self.say(f"  {section.name} {number}: {outcome.subject}: {outcome.verdict}: {outcome.seen}")
        except Skipped as reason:
            score.skipped, score.may_be_skipped = str(reason), reason.may_be
        score.seconds = time.monotonic() - began
        self.say(score.line())
        return score

    def conclude(self) -> bool:
        """Tell the sum; whether everything held."""
        sums = {verdict: sum(score.counts[verdict] for score in self.scores) for verdict in Verdict}
        told = ", ".join(f"{count} {verdict}" for verdict, count in sums.items() if verdict is not Verdict.HELD)
        self.say(f"{sum(sums.values())} tried with seed {self.seed}: {told}")
        return all(score.is_clean for score in self.scores)
