"""What a shape is to the rest of Python."""

from __future__ import annotations

import json
from typing import Annotated

import pytest

from kiln.declare.rules import Between, Count, Doc, Example, More, OneOf
from kiln.declare.shapes import borrows, essence, fields_of, keep, of_essence, params_of, shape, spell


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


_Name = Annotated[str, Doc("A name.")]


@shape
class Told:
    """Fields of a type that has words of its own."""

    plain: _Name
    own: Annotated[_Name, Doc("The name of the copy.")]
    own_or_none: Annotated[_Name | None, Doc("The name of the copy, or none.")] = None
    more: Annotated[_Name | None, More("Empty: it has none any more.")] = None
    each: Annotated[tuple[_Name, ...], Doc("Names.")] = ()


def test_what_a_field_says_of_itself_is_said_in_place_of_what_its_type_says():
    assert [field.doc for field in fields_of(Told)] == [
        "A name.",
        "The name of the copy.",
        "The name of the copy, or none.",
        "A name. Empty: it has none any more.",
        "Names.",
    ]


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


@shape
class Part:
    """A part with a default of its own."""

    goes: Annotated[bool, Doc("Whether it goes.")] = True
    size: Annotated[int, Between(1, 9), Doc("How big.")] = 5


@shape
class Lender:
    """What others borrow from."""

    name: Annotated[str, Doc("Needed."), Example("web")]
    mode: Annotated[str, OneOf(("a", "b")), Doc("One of two.")] = "a"
    part: Annotated[Part | None, Doc("A part.")] = None
    parts: Annotated[tuple[Part, ...], Count(2), Doc("Parts.")] = ()
    price: Annotated[float | None, Doc("The price.")] = None


@shape
@borrows(Lender, ("mode", "name", "parts", "part", "price"))
class Borrower:
    """Has one field in another form."""

    part: Annotated[str | None, Doc("Its own.")] = None
    more: Annotated[str | None, Doc("Its own, too.")] = None


class TestBorrowed:
    def test_fields_are_those_of_the_other_in_the_order_that_is_asked_for(self):
        fields = {field.name: field for field in fields_of(Borrower)}

        assert list(fields) == ["mode", "name", "parts", "part", "price", "more"]
        assert (fields["name"].doc, fields["name"].example) == ("Needed.", "web")
        assert fields["mode"].rules == fields_of(Lender)[1].rules
        assert fields["part"].doc == "Its own."

    def test_nothing_has_to_be_given_and_nothing_is_said_that_was_not(self):
        assert essence(Borrower()) == {}
        assert not any(field.required for field in fields_of(Borrower))
        (parts,) = (field for field in fields_of(Borrower) if field.name == "parts")
        assert essence(Borrower(parts=(parts.kind(), parts.kind(goes=True)))) == {"Parts": [{}, {"Goes": True}]}

    def test_a_part_that_needs_nothing_is_the_others_own(self):
        @shape
        @borrows(Borrower, ("mode", "parts"))
        class Again:
            """Borrows what was borrowed."""

        assert fields_of(Again)[1].kind is fields_of(Borrower)[2].kind


class TestEssences:
    VALUE = Lender(name="web", part=Part(goes=False), parts=(Part(size=3), Part()), price=0.97)

    def test_a_value_is_had_back_of_its_essence(self):
        assert of_essence(Lender, json.loads(json.dumps(essence(self.VALUE)))) == self.VALUE

    def test_what_another_version_says_is_passed_over(self):
        assert of_essence(Lender, {"Name": "web", "Later": 1, "Part": {"Later": 2}}) == Lender(name="web", part=Part())

    def test_a_request_says_the_same(self):
        assert params_of(Lender, essence(self.VALUE) | {"Later": {"A": 1}}) == {
            "Name": "web",
            "Part.Goes": "false",
            "Parts.1.Size": "3",
            "Price": "0.970000",
        }
