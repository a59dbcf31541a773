"""The table of pages: a family in each module, and the menu."""

from __future__ import annotations

from kiln.console.pages import (
    disks,
    entrance,
    files,
    images,
    instances,
    key_pairs,
    lineage,
    networks,
    overview,
    security_groups,
    snapshots,
    storage,
    tasks,
    terminals,
)
from kiln.console.visit import Page, Way

PAGES: tuple[Page, ...] = (
    *entrance.PAGES,
    *overview.PAGES,
    *storage.PAGES,
    *images.PAGES,
    *instances.PAGES,
    *terminals.PAGES,
    *disks.PAGES,
    *snapshots.PAGES,
    *lineage.PAGES,
    *files.PAGES,
    *networks.PAGES,
    *security_groups.PAGES,
    *key_pairs.PAGES,
    *tasks.PAGES,
)

#: What stands at the head of every page.
MENU: tuple[Way, ...] = (
    Way("/", "overview.title"),
    Way("/images", "noun.images"),
    Way("/instances", "noun.instances"),
    Way("/disks", "noun.disks"),
    Way("/snapshots", "noun.snapshots"),
    Way("/lineage", "lineage.title"),
    Way("/files", "files.title"),
    Way("/vpcs", "noun.vpcs"),
    Way("/vswitches", "noun.vswitches"),
    Way("/security-groups", "noun.security-groups"),
    Way("/key-pairs", "noun.key-pairs"),
    Way("/tasks", "noun.tasks"),
)
