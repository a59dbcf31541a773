"""What a shape is to the rest of Python."""

from __future__ import annotations

from typing import Annotated

import pytest

from kiln.declare.rules import Doc
from kiln.declare.shapes import essence, fields_of, keep, shape, spell


@shape
class Size:
    gib: int
    name: str = ""


@shape
class OtherSize:
    gib: int
    name: str = ""


@shape
class Disk:
    """A disk."""

    size: Size
    spare: Size = Size(gib=1)


def test_fields_are_given_by_keyword():
    with pytest.raises(TypeError):
        Size(3)
    with pytest.raises(TypeError):
        Size(name="a")

    assert Size(gib=3).name == ""


def test_values_with_the_same_fields_are_equal_if_they_are_of_one_shape():
    assert Size(gib=3) == Size(gib=3, name="")
    assert Size(gib=3) != Size(gib=4)
    assert Size(gib=3) != OtherSize(gib=3)
    assert len({Size(gib=3), Size(gib=3), Size(gib=4)}) == 2


def test_a_value_shows_what_it_holds():
    assert repr(Disk(size=Size(gib=3, name="a"))) == "Disk(size=Size(gib=3, name='a'), spare=Size(gib=1, name=''))"


def test_the_essence_leaves_out_what_is_as_it_would_be_anyway():
    assert essence(Disk(size=Size(gib=3))) == {"Size": {"Gib": 3}}
    assert essence(Disk(size=Size(gib=3, name=""), spare=Size(gib=1))) == {"Size": {"Gib": 3}}
    assert essence(Disk(size=Size(gib=3), spare=Size(gib=2))) == {"Size": {"Gib": 3}, "Spare": {"Gib": 2}}


def test_a_shape_that_says_nothing_of_itself_documents_no_field():
    assert [field.doc for field in fields_of(Disk)] == ["", ""]


@shape
class Drive:
    """Parts that may be absent, alone and in lists."""

    size: Size
    spare: Annotated[Size | None, Doc("Another.")] = None
    label: Annotated[str, Doc("What it is called.")] | None = None
    parts: tuple[Size, ...] | None = None
    names: tuple[str, ...] = ()


@shape
class Rack:
    drive: tuple[Drive, ...]


@shape
class Nothing:
    """An answer without a field of its own."""


def test_a_shape_without_fields_is_spelled_too():
    assert spell(Nothing()) == {}


def test_what_is_none_is_not_spelled():
    assert spell(Drive(size=Size(gib=1))) == {"Size": {"Gib": 1, "Name": ""}, "Names": []}


def test_parts_and_lists_are_spelled_in_the_order_of_their_declaration():
    whole = Drive(size=Size(gib=1), spare=Size(gib=2), label="a", parts=(Size(gib=3),), names=("x", "y"))

    spelled = spell(Rack(drive=(whole, Drive(size=Size(gib=4)))))

    assert list(spelled["Drive"][0]) == ["Size", "Spare", "Label", "Parts", "Names"]
    assert spelled["Drive"][0]["Parts"] == [{"Gib": 3, "Name": ""}]
    assert spelled["Drive"][1] == {"Size": {"Gib": 4, "Name": ""}, "Names": []}


def test_a_value_that_is_kept_is_spelled_once():
    kept = keep(Size(gib=7))

    one, other = spell(Disk(size=kept)), spell(Disk(size=kept, spare=Size(gib=2)))

    assert one["Size"] == {"Gib": 7, "Name": ""}
    assert one["Size"] is other["Size"]
