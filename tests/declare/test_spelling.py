"""Outputs as they go over the wire."""

from __future__ import annotations

from typing import Annotated

from kiln.declare.rules import Wire
from kiln.declare.shapes import shape, spell


@shape
class Disk:
    device: str
    size: int


@shape
class Disks:
    disk: tuple[Disk, ...]


@shape
class Answer:
    image_id: str
    os_type: Annotated[str, Wire("OSType")]
    main: Disk
    disks: Disks
    ids: tuple[str, ...] = ()
    task_id: str | None = None
    spare: Disk | None = None


def an_answer(**changes):
    given = {"image_id": "m-1", "os_type": "linux", "main": Disk(device="a", size=1), "disks": Disks(disk=())}
    return Answer(**given | changes)


def test_names_are_the_wires_and_what_is_none_is_left_out():
    assert spell(an_answer()) == {
        "ImageId": "m-1",
        "OSType": "linux",
        "Main": {"Device": "a", "Size": 1},
        "Disks": {"Disk": []},
        "Ids": [],
    }


def test_parts_and_lists_are_spelled_all_the_way_down():
    spelled = spell(
        an_answer(
            disks=Disks(disk=(Disk(device="b", size=2), Disk(device="c", size=0))),
            ids=("x", ""),
            task_id="",
            spare=Disk(device="d", size=4),
        )
    )

    assert spelled["Disks"] == {"Disk": [{"Device": "b", "Size": 2}, {"Device": "c", "Size": 0}]}
    assert spelled["Ids"] == ["x", ""]
    assert spelled["TaskId"] == ""
    assert spelled["Spare"] == {"Device": "d", "Size": 4}


def test_members_keep_the_declared_order():
    assert list(spell(an_answer(task_id="t"))) == ["ImageId", "OSType", "Main", "Disks", "Ids", "TaskId"]
