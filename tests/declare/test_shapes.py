"""What a shape is to the rest of Python."""

from __future__ import annotations

import pytest

from kiln.declare.shapes import essence, fields_of, shape


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
