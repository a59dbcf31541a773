"""Promises that every operation keeps, read from the declarations themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import kiln.operations
from kiln.declare.deployment import Deployment
from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.products import PRODUCTS
from kiln.declare.shapes import Field, fields_of
from kiln.declare.states import MOVES
from kiln.operations import ALL, CATALOGUE
from kiln.upkeep.duties import DUTIES, LATER
from kiln.wire.decode import decode
from kiln.wire.dispatch import Dispatcher, errors_of
from tests.beginnings import BEGINNINGS
from tests.catalogue import key_of, title_of
from tests.fuzz.values import forbidden
from tests.promises import met
from tests.samples import around, least, places, several, siblings

SOURCE = Path(kiln.operations.__file__).parent
TESTS = Path(__file__).parent / "operations"

GROUPS = [group.__name__.rpartition(".")[2] for group in kiln.operations.GROUPS]

PLACES = [place for operation in ALL for place in places(operation)]
RULED = [place for place in PLACES if place.field.rules]
#: A part of one field is absent when that field is.
REQUIRED = [place for place in PLACES if place.field.required and (not place.under or siblings(place))]
COUNTED = [place for place in PLACES if place.field.count is not None]
IDEMPOTENT = [operation for operation in ALL if operation.idempotent is not None]
REGIONAL = [operation for operation in ALL if any(f.name == "region_id" for f in operation.parameters)]

by_name = pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)


def files() -> set[tuple[str, str]]:
    """Folder and name of every operation's file."""
    return {(group, path.stem) for group in GROUPS for path in (SOURCE / group).glob("*.py") if path.stem != "__init__"}


def test_every_operation_file_is_in_the_catalogue():
    assert files() == {(operation.group, operation.module) for operation in ALL}


def test_no_operation_is_in_the_catalogue_twice():
    assert len(CATALOGUE) == sum(len(operation.keys) for operation in ALL)


def test_what_a_worker_carries_out_has_one_name_over_all_products():
    names = [operation.name for operation in ALL if operation.carry_out is not None]

    assert sorted(names) == sorted(set(names))


def test_every_product_that_is_served_has_operations():
    assert {operation.product for operation in ALL} == set(PRODUCTS)
    assert len({product.version for product in PRODUCTS}) == len(PRODUCTS), "the doors tell products by their versions"


@by_name
def test_every_operation_has_a_test_file_of_its_name(operation):
    assert (TESTS / operation.group / f"test_{operation.module}.py").is_file()


@by_name
def test_no_operation_is_made_of_another(operation):
    tree = ast.parse((SOURCE / operation.group / f"{operation.module}.py").read_text())
    others = {f"kiln.operations.{group}.{name}" for group, name in files()}

    assert {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)} & others == set()


@by_name
def test_every_operation_is_described(operation):
    first = operation.doc.partition("\n")[0]

    assert re.fullmatch(r"[A-Z].{10,}\.", first), f"{operation.name} has no sentence that says what it does"


def test_everything_that_is_carried_out_has_a_beginning_to_test_it_from():
    assert DUTIES.keys() - BEGINNINGS.keys() == set(), "tests/beginnings.py: what is half done is missing"


@by_name
def test_every_parameter_is_described(operation):
    silent = [str(place) for place in places(operation) if not place.field.doc]

    assert silent == []


@by_name
def test_every_part_of_an_answer_is_described(operation):
    silent = [name for name, field in parts(operation.output) if not field.doc]

    assert silent == []


@pytest.mark.parametrize("operation", [one for one in ALL if one.leads_to], ids=lambda operation: operation.name)
def test_every_end_can_be_reached_from_the_state_at_once(operation):
    now, *ends = operation.leads_to
    # Images and disks are both Creating first.
    moves = next(moves for noun, moves in MOVES.items() if {now, *ends} <= set(noun))
    reached = {now}
    while further := {after for state in reached for after in moves.get(state, ())} - reached:
        reached |= further

    assert ends
    assert set(ends) <= reached


@by_name
def test_no_parameter_has_the_name_of_another(operation):
    names = [name for field in operation.parameters for name in (field.wire, *field.aliases)]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("place", [place for place in PLACES if place.field.example], ids=str)
def test_every_example_is_taken(place):
    decode(place.shape, around(place) | {place.name: place.field.example})


@pytest.mark.parametrize("place", REQUIRED, ids=str)
def test_every_required_parameter_is_missed_when_it_is_absent(place):
    given = {name: value for name, value in around(place).items() if not f"{name}.".startswith(f"{place.name}.")}
    # A part is asked for what it needs when anything of it was sent.
    given |= siblings(place) if place.under else {}

    with pytest.raises(place.field.missing) as refused:
        decode(place.shape, given)

    assert place.name.removesuffix(".1") in str(refused.value) or "{" not in place.field.missing.message


@pytest.mark.parametrize("place", RULED, ids=str)
def test_every_rule_refuses_its_counterexample_with_its_own_error(place):
    for text, rule in forbidden(place.field):
        with pytest.raises(ApiError) as refused:
            decode(place.shape, around(place) | {place.name: text})

        assert type(refused.value) is rule.error
        assert type(refused.value) is not InvalidParameter or rule.in_words() in str(refused.value)


@pytest.mark.parametrize("place", COUNTED, ids=str)
def test_more_elements_than_there_may_be_are_refused(place):
    with pytest.raises(place.field.count.error):
        decode(place.shape, around(place) | several(place, place.field.count.most + 1))


@pytest.mark.parametrize("operation", IDEMPOTENT, ids=lambda operation: operation.name)
def test_a_malformed_client_token_is_refused_as_documented(operation):
    with pytest.raises(operation.idempotent.malformed):
        dispatch(title_of(operation), least(operation.input) | {"ClientToken": "é"})


@pytest.mark.parametrize("operation", REGIONAL, ids=lambda operation: operation.name)
def test_another_region_is_refused_as_documented(operation):
    (named,) = (field.wire for field in operation.parameters if field.name == "region_id")
    with pytest.raises(ApiError) as refused:
        dispatch(title_of(operation), least(operation.input) | {named: "elsewhere"})

    assert type(refused.value) is operation.unknown_region
    met(title_of(operation), refused.value)


@pytest.mark.parametrize(
    "operation", [o for o in ALL if o.name.startswith(("Delete", "Cancel", "Stop"))], ids=lambda o: o.name
)
def test_what_deletes_or_stops_may_use_the_room_that_is_kept_for_it(operation):
    assert operation.gives_back
    assert operation.carry_out is None or DUTIES[operation.name].gives_back


@by_name
def test_no_error_is_declared_twice(operation):
    assert len(operation.errors) == len(set(operation.errors))


@by_name
def test_every_error_of_an_operation_can_be_told_from_the_others(operation):
    """Two errors with one code differ in their texts or statuses: otherwise they are one error with two names."""
    told = [(error.code, error.status, error.message) for error in errors_of(operation)]

    assert sorted(told) == sorted(set(told))


def test_whatever_anything_ends_with_is_declared():
    """An error that nobody declares is in no catalogue, and no client knows what to do about it."""
    of_all = ("kiln.declare.errors", "kiln.wire.errors")
    declared = {error for operation in ALL for error in errors_of(operation)}
    own = {error for error in every(ApiError) if error.__module__.startswith("kiln.")}

    assert {error for error in own - declared if error.__module__ not in of_all} <= set(LATER)
    assert [error.__name__ for error in LATER if not error.hint] == []


def test_every_error_class_is_named_for_its_code():
    others = [e.__name__ for e in every(ApiError) if e.__module__.startswith("kiln.") and not is_named_for_its_code(e)]

    assert others == []


def is_named_for_its_code(error: type[ApiError]) -> bool:
    """Whether the class has the code's name, cut or with something added where one code has several causes."""
    name, code = error.__name__.lower(), re.sub(r"[^a-z0-9]", "", error.code.lower())
    return name.startswith(code) or code.startswith(name)


def dispatch(action: str, params: dict[str, str]) -> None:
    """As far as a request comes that is refused before anything is looked at."""
    ports = SimpleNamespace(deployment=Deployment())
    Dispatcher(CATALOGUE, ports).dispatch("nobody", key_of(action), params)


def parts(shape: type, under: str = "") -> Iterator[tuple[str, Field]]:
    """Every field of an Output, and of what is in it."""
    for field in fields_of(shape):
        yield f"{under}{field.wire}", field
        if field.is_shape:
            yield from parts(field.kind, f"{under}{field.wire}.")


def every(error: type[ApiError]) -> Iterator[type[ApiError]]:
    """All kinds of *error*."""
    for kind in error.__subclasses__():
        yield kind
        yield from every(kind)
