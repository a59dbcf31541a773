"""What the rules of parameters allow is taken, and what they forbid is refused with the error that they name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiln.declare.errors import ApiError, InvalidParameter
from kiln.operations import ALL
from kiln.wire.decode import decode
from kiln.wire.dispatch import errors_of
from tests.fuzz import values
from tests.samples import Place, around, places

pytestmark = pytest.mark.slow

examples = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)


def leaves(operation) -> list[Place]:
    """Parameters and parts that hold a value."""
    return [place for place in places(operation) if not place.field.is_shape]


#: GetCallerIdentity has no parameters.
by_name = pytest.mark.parametrize(
    "operation", [one for one in ALL if leaves(one)], ids=lambda operation: operation.name
)


@by_name
def test_what_is_allowed_is_taken(operation):
    @examples
    @given(st.data())
    def send(data):
        place, text = data.draw(given_one(operation, values.allowed))

        found = decode(place.shape, around(place) | {place.name: text})

        assert found is not None

    send()


@by_name
def test_what_is_refused_is_refused_as_declared(operation):
    @examples
    @given(st.data())
    def send(data):
        place, text = data.draw(given_one(operation, values.anything))

        error = refusal(place, text)

        if error is not None:
            field = place.field
            own = {rule.error for rule in field.rules} | ({field.count.error} if field.count else set())
            assert type(error) in own | {InvalidParameter, field.missing, field.unreadable}
            assert type(error) in {*errors_of(operation), InvalidParameter}

    send()


def given_one(operation: Any, choose: Any) -> st.SearchStrategy[tuple[Place, str]]:
    """One parameter of *operation* and a value for it."""
    return st.sampled_from(leaves(operation)).flatmap(lambda place: st.tuples(st.just(place), choose(place.field)))


def refusal(place: Place, text: str) -> ApiError | None:
    """The error with which *text* is refused, if it is."""
    try:
        decode(place.shape, around(place) | {place.name: text})
    except ApiError as error:
        return error
    return None
