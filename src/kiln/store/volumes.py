"""Volumes: what the pool holds, or is about to hold.

A row is written before the volume is made (``task`` names the task that makes
it) and stays until after it is dropped, so that whatever a crash leaves in the
pool has a row that explains it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Index

from kiln.store.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Volume:
    """One volume."""

    id: str
    state: str  #: ``planned`` (a task makes it), ``ready``, or ``doomed`` (nothing names it; being dropped).
    kind: str  #: ``head`` or ``layer``.
    parent: str | None
    size_bytes: int
    task: str | None  #: The task that is making it, or that needs it kept.
    created_at: float


volumes: Rows[Volume] = Rows(
    "volumes", Volume, indexes=[Index("volumes_parent", "parent"), Index("volumes_state", "state")]
)
