"""What the last fsck found, kept in the data folder for who watches: how many findings of each sort, and when."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from kiln.ground.journal import Journal
from kiln.ground.short_files import read_short_text
from kiln.ground.values import dataclass
from kiln.upkeep.findings import SORTS, Finding

log = Journal("kiln.service")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How many findings there were of each sort, and when that was, in seconds since the epoch."""

    at: float
    findings: Mapping[str, int]


def keep(file: Path, findings: Iterable[Finding], now: float) -> None:
    """Leave it there, or log that it cannot be: whoever ran fsck has read what it found."""
    counted = Counter(finding.sort for finding in findings)
    draft = file.with_name(f"{file.name}.draft")
    try:
        draft.write_text(json.dumps({"at": now, "findings": {sort: counted[sort] for sort in SORTS}}) + "\n")
        draft.replace(file)
    except OSError as error:
        log.warning("verdict_not_written", file=str(file), reason=error.strerror)


def kept(file: Path) -> Verdict | None:
    """The last one; None where there is none, or one that cannot be read."""
    try:
        said = json.loads(read_short_text(file))
        return Verdict(at=float(said["at"]), findings={sort: int(said["findings"][sort]) for sort in SORTS})
    except (OSError, ValueError, KeyError, TypeError):
        return None
