"""What a request says over what something stored says, in every spelling that a request may have."""

from __future__ import annotations

from typing import Annotated

import pytest

from kiln.declare.errors import InvalidParameter
from kiln.declare.rules import Alias, Between, KeepEmpty
from kiln.declare.shapes import shape
from kiln.wire.decode import decode


@shape
class Inner:
    """The innermost."""

    deep: str | None = None
    other: str | None = None


@shape
class Disk:
    """A part."""

    size: Annotated[int | None, Between(1, 100)] = None
    name: Annotated[str | None, Alias("DiskName")] = None
    inner: Inner | None = None


@shape
class Whole:
    """A request."""

    image: Annotated[str | None, Alias("ImageId")] = None
    note: Annotated[str | None, KeepEmpty()] = None
    protected: bool = False
    disk: Disk | None = None
    tag: tuple[Disk, ...] = ()
    word: tuple[str, ...] = ()


BELOW = {
    "Image": "m-below",
    "Note": "below",
    "Protected": "true",
    "Disk.Size": "10",
    "Disk.Name": "below",
    "Disk.Inner.Deep": "below",
    "Disk.Inner.Other": "below",
    "Tag.1.Name": "below",
    "Tag.2.Name": "below",
    "Word.1": "below",
}
ALL_BELOW = decode(Whole, BELOW)


def over(**said: str) -> Whole:
    return decode(Whole, {name.replace("__", "."): text for name, text in said.items()}, BELOW)


def test_what_is_beneath_holds_where_nothing_is_said() -> None:
    assert decode(Whole, {}, BELOW) == ALL_BELOW
    assert decode(Whole, {"Image": "", "Disk.Size": "", "Tag.1.Name": "", "Nobodys": "1"}, BELOW) == ALL_BELOW


def test_what_is_said_wins_also_where_it_is_the_default_or_an_empty_value_that_counts() -> None:
    found = over(Protected="false", Note="")

    assert (found.protected, found.note, found.image) == (False, "", "m-below")


@pytest.mark.parametrize("name", ["Image", "ImageId"])
def test_what_is_said_by_an_alias_wins(name: str) -> None:
    assert over(**{name: "m-over"}).image == "m-over"
    assert over(**{name: "m-over", "Disk__DiskName": "over"}).disk.name == "over"


@pytest.mark.parametrize("said", [{"Disk__Inner__Deep": "over"}, {"Disk": '{"Inner":{"Deep":"over"}}'}])
def test_of_an_object_each_part_is_for_itself(said: dict[str, str]) -> None:
    disk = over(**said).disk

    assert (disk.size, disk.name, disk.inner.deep, disk.inner.other) == (10, "below", "over", "below")


@pytest.mark.parametrize("said", [{"Tag__7__Size": "7"}, {"Tag": '[{"Size":7}]'}])
def test_a_list_takes_the_place_of_the_other_whole(said: dict[str, str]) -> None:
    assert over(**said).tag == (Disk(size=7),)


@pytest.mark.parametrize("said", [{"Tag": "[]"}, {"Tag__[]": ""}])
def test_an_empty_list_says_that_there_is_to_be_none(said: dict[str, str]) -> None:
    assert over(**said).tag == ()


@pytest.mark.parametrize("said", [{"Disk": "big"}, {"disk__Size": "1"}, {"Disk__Colour": "red"}, {"Disk__Size": "101"}])
def test_what_is_no_such_thing_is_refused_as_ever(said: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        over(**said)


def test_what_is_beneath_is_held_to_the_rules_as_well() -> None:
    with pytest.raises(InvalidParameter):
        decode(Whole, {}, {"Disk.Size": "101"})
