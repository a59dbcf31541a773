"""A noun of the API, as its pages need it: which action lists it, what of a row is shown, and what can be done.

All else is read in the catalogue: what a parameter is for, which values it takes,
what a field of an answer means. A new noun is one declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from kiln.console.visit import Visit, Way
from kiln.ground.values import dataclass

#: Where the pages of a noun lie, by the fields of answers that hold its ID.
PLACES: Mapping[str, str] = {
    "ImageId": "images",
    "InstanceId": "instances",
    "DiskId": "disks",
    "SourceDiskId": "disks",
    "SnapshotId": "snapshots",
    "SourceSnapshotId": "snapshots",
    "VpcId": "vpcs",
    "VSwitchId": "vswitches",
    "SecurityGroupId": "security-groups",
    "KeyPairName": "key-pairs",
    "InstanceIdSet": "instances",
    "TaskId": "tasks",
}


#: The same by the beginning of an ID, where what it is of is not said.
_BY_PREFIX: Mapping[str, str] = {"m": "images", "s": "snapshots", "d": "disks", "i": "instances", "t": "tasks"}


def noun_of(resource: str) -> str:
    """Where the page of a resource lies, by its ID; empty of what has none."""
    return _BY_PREFIX.get(resource.partition("-")[0], "")


@dataclass(frozen=True)
class Tab:
    """A part of a listing, by a filter that it fixes."""

    name: str  #: Its text is ``tab.NAME``.
    value: str


@dataclass(frozen=True, kw_only=True)
class Does:
    """Something that can be done with a row, by an action that takes its ID."""

    action: str
    given_by: Mapping[str, str] = field(default_factory=dict)
    """Parameters that the row gives, and by which of its fields; where empty, the noun's ID of the same name."""
    fixed: Mapping[str, str] = field(default_factory=dict)  #: What is always sent: ``Status=Deprecated``.
    suggested: Mapping[str, str] = field(default_factory=dict)  #: What its empty form has, to be changed.
    name: str = ""  #: Of its text ``do.NAME`` and its path, where two are done by one action.
    first: tuple[str, ...] = ()  #: Parameters that stand first in its form; the others are folded away below.
    asked: tuple[str, ...] | None = None  #: The only parameters of its form, where all would confuse.
    is_grave: bool = False  #: Whether something is lost by it.
    is_plain: bool = False  #: Whether one press does it: it asks for nothing, and can be undone by another.
    states: tuple[str, ...] = ()  #: In these alone it is offered; empty: in all.
    leaves: bool = False  #: Whether the row is gone afterwards.
    made: str = ""  #: Of the answer, the field with what was made, to be looked at next; of a list of IDs the first.
    tells: Callable[[Visit, Mapping[str, Any]], list[str]] | None = None
    """What is to be known of the row before, in sentences of the visitor's language."""

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or self.action


@dataclass(frozen=True, kw_only=True)
class Noun:
    """See the module."""

    name: str  #: ``images``: of its path, and of its texts ``noun.images``.
    action: str  #: Lists it.
    id: str  #: The field of a row that holds its ID.
    asks: str  #: The parameter by which one row is asked for.
    called: str = ""  #: The field with the name that people gave it.
    state: str = ""  #: The field with its state.
    progress: str = ""  #: The field that says how much of it is done.
    columns: tuple[str, ...]  #: Fields of a row, in their order; the first is the link to it.
    filters: tuple[str, ...] = ()  #: Parameters of *action*.
    fixed: Mapping[str, str] = field(default_factory=dict)  #: What is always asked with.
    tabs: tuple[Tab, ...] = ()
    tab_by: str = ""  #: The parameter that tabs fix.
    makes: tuple[Does, ...] = ()  #: What makes one.
    does: tuple[Does, ...] = ()
    views: tuple[Way, ...] = ()  #: More pages of a row, by their paths with ``{id}`` in it.
    begins: str = ""  #: Which of *makes* is the chief one for who has nothing yet; empty: the first, as for others.
    teaches: Way | None = None  #: Where to go from an empty list.

    @property
    def at(self) -> str:
        """Where its pages lie."""
        return f"/{self.name}"
