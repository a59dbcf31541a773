"""Every case is tried with the standard library's dataclass too: what is said of one is to be so of both."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from functools import cached_property
from typing import ClassVar

import pytest

from kiln.ground import values


def a_point(dataclass):
    @dataclass(frozen=True)
    class Point:
        """A point."""

        x: int
        y: int = 2
        seen: list[str] = field(default_factory=list, compare=False)
        secret: str = field(default="s", repr=False)

        @cached_property
        def sum(self) -> int:
            return self.x + self.y

    return Point


def a_name(dataclass):
    @dataclass(frozen=True, kw_only=True)
    class Name:
        first: str
        last: str = "L"

    return Name


def a_counter(dataclass):
    @dataclass
    class Counter:
        count: int = 0
        doubled: int = field(init=False, default=0)

        def __post_init__(self) -> None:
            self.doubled = 2 * self.count

    return Counter


both = pytest.mark.parametrize("dataclass", [values.dataclass, dataclasses.dataclass], ids=["ours", "theirs"])


@both
def test_fields_are_given_by_place_and_by_name(dataclass):
    point = a_point(dataclass)
    made = point(1, y=3)

    assert (made.x, made.y, made.seen, made.secret) == (1, 3, [], "s")
    assert made.seen is not point(1).seen
    assert a_name(dataclass)(last="M", first="F").last == "M"


@both
@pytest.mark.parametrize(
    ("make", "placed", "given"),
    [
        (a_point, (), {}),
        (a_point, (), {"y": 1}),
        (a_point, (1,), {"x": 1}),
        (a_point, (1,), {"z": 1}),
        (a_point, (1, 2, [], "s", 5), {}),
        (a_name, ("F",), {}),
        (a_name, (), {"first": "F", "middle": "M"}),
        (a_counter, (), {"doubled": 3}),
    ],
)
def test_wrong_fields_are_refused(dataclass, make, placed, given):
    with pytest.raises(TypeError):
        make(dataclass)(*placed, **given)


@both
def test_values_are_equal_by_what_is_compared(dataclass):
    point, name = a_point(dataclass), a_name(dataclass)
    one, other = point(1, 2, ["a"]), point(1, 2, ["b"])

    assert one.sum == 3  # Kept in the value, and no part of it.
    assert one == other
    assert hash(one) == hash(other)
    assert one != point(2)
    assert one != a_point(dataclass)(1), "of another class"
    assert len({name(first="a", last="b"), name(last="b", first="a")}) == 1


@both
def test_what_is_frozen_does_not_change(dataclass):
    made = a_point(dataclass)(1)
    with pytest.raises(FrozenInstanceError):
        made.x = 2
    with pytest.raises(FrozenInstanceError):
        made.other = 2
    with pytest.raises(FrozenInstanceError):
        del made.x

    assert (made.x, vars(made).get("other")) == (1, None)


@both
def test_what_is_not_frozen_does_and_has_no_hash(dataclass):
    made = a_counter(dataclass)(2)
    assert made.doubled == 4
    made.count = 3

    assert made.count == 3
    with pytest.raises(TypeError):
        hash(made)


@both
def test_shows_what_may_be_shown(dataclass):
    assert repr(a_point(dataclass)(1)) == "a_point.<locals>.Point(x=1, y=2, seen=[])"


@both
def test_is_a_dataclass_to_the_standard_library(dataclass):
    made = a_point(dataclass)(1)

    assert [one.name for one in fields(made)] == ["x", "y", "seen", "secret"]
    assert replace(made, y=5) == type(made)(1, 5)
    assert asdict(made) == {"x": 1, "y": 2, "seen": [], "secret": "s"}
    assert a_point(dataclass).__match_args__ == ("x", "y", "seen", "secret")


@both
def test_is_inherited(dataclass):
    @dataclass(frozen=True)
    class Far(a_point(dataclass)):
        z: int = 3

    assert (Far(1).z, Far(1, z=4).z) == (3, 4)
    assert Far(1) != Far(1, z=4)
    with pytest.raises(FrozenInstanceError):
        Far(1).x = 2


@both
def test_own_methods_stay(dataclass):
    @dataclass(frozen=True)
    class Odd:
        n: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Odd) and self.n % 2 == other.n % 2

        __hash__ = None

        def __repr__(self) -> str:
            return "odd"

    assert Odd(1) == Odd(3)
    assert repr(Odd(1)) == "odd"


@values.dataclass(frozen=True)
class Kept:
    """A value that another process gets."""

    name: str


def test_is_pickled():
    assert pickle.loads(pickle.dumps(Kept("a"))) == Kept("a")


def test_what_it_does_not_know_is_the_standard_librarys():
    @values.dataclass(frozen=True, slots=True, order=True)
    class Slot:
        n: int

    assert Slot(1) < Slot(2)
    assert not hasattr(Slot(1), "__dict__")


def test_shares_no_text_that_was_written_out():
    """What took the time: the standard library's methods are compiled for each class, from no file."""
    assert values.dataclass(type("Some", (), {"__annotations__": {"n": int}})).__init__.__code__.co_filename == (
        values.__file__
    )


def a_shape():
    class Shape:
        plain: str
        of_all: ClassVar[int] = 3
        many: list[str] = field(default_factory=list)

    values.share(Shape, kw_only=True)
    return Shape


def test_what_is_shared_is_made_when_it_is_first_wanted():
    made, asked = a_shape(), a_shape()
    assert "__match_args__" not in vars(made)

    assert vars(made(plain="a")) == {"plain": "a", "many": []}
    assert [one.name for one in fields(asked)] == ["plain", "many"]
    assert "__match_args__" in vars(made)
    assert "__match_args__" in vars(asked)


def test_what_is_shared_is_inherited_before_it_is_made():
    class Inner(a_shape()):
        more: int = 1

    values.share(Inner, kw_only=True)

    assert [(one.name, one.type) for one in fields(Inner)] == [("plain", "str"), ("many", "list[str]"), ("more", "int")]
    assert vars(Inner(plain="a")) == {"plain": "a", "many": [], "more": 1}
    with pytest.raises(TypeError, match="missing a required argument: 'plain'"):
        Inner()


def test_threads_that_want_it_first_get_the_same():
    shapes = [a_shape() for _ in range(50)]
    together = threading.Barrier(4)

    def make() -> list[object]:
        together.wait()
        return [shape(plain="a").many for shape in shapes]

    with ThreadPoolExecutor(4) as executor:
        made = [future.result() for future in [executor.submit(make) for _ in range(4)]]

    assert made == [[[]] * 50] * 4


@both
def test_annotations_are_kept_as_they_were_written(dataclass):
    point = a_point(dataclass)

    assert [one.type for one in fields(point)] == ["int", "int", "list[str]", "str"]
    assert point.__annotations__ == {"x": "int", "y": "int", "seen": "list[str]", "secret": "str"}
