"""What fsck finds, in the words that its operator reads."""

from __future__ import annotations

from collections.abc import Iterable

from kiln.ground.values import dataclass

SORTS = ("repaired", "repairable", "pending", "broken")


@dataclass(frozen=True)
class Finding:
    """One difference, and what became of it."""

    sort: str  #: One of ``SORTS``.
    subject: str
    text: str


def is_well(findings: Iterable[Finding]) -> bool:
    """Whether nothing is broken, and nothing is left to be repaired."""
    return all(finding.sort in ("repaired", "pending") for finding in findings)


def mended(subject: str, fault: str, *, done: str, would: str, repair: bool) -> Finding:
    """What was mended with *repair*, and without it what would be."""
    return (
        Finding("repaired", subject, f"{fault}; {done}")
        if repair
        else Finding("repairable", subject, f"{fault}; {would}")
    )
