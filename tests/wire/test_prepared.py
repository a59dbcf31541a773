"""What takes long and needs no row is made before the transaction that others wait for, and for no refused request."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, DryRunOperation
from kiln.declare.operation import Operation
from kiln.declare.products import ECS, ActionKey
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.store.database import Database
from kiln.wire.dispatch import Dispatcher

PRODUCT = ECS


@shape
class Input:
    word: Annotated[str, Doc("A word.")]


@shape
class Output:
    said: Annotated[str, Doc("What was made of it.")]


class Taken(ApiError):
    """The word is one that is taken."""

    code = "Taken"
    message = "The word is taken."


def an_operation(database: Database, seen: list[Any]) -> Operation[Input, str, Output]:
    """One that makes something of a word, and notes what it does, and when."""

    def prepare(p: Input) -> str:
        # A write of another's, which could not be made within a transaction that writes.
        database.write(lambda _: seen.append("prepared"))
        return p.word * 2

    def check(_: Call, p: Input) -> str:
        seen.append("checked")
        if p.word == "taken":
            raise Taken
        return p.word

    def commit(call: Call, _: str) -> Output:
        return Output(said=call.prepared)

    return Operation(input=Input, output=Output, prepare=prepare, check=check, commit=commit)


def test_it_comes_after_a_check_and_before_the_transaction_and_is_handed_to_it(cloud):
    seen: list[Any] = []
    key = ActionKey(ECS, "SayTwice")
    dispatcher = Dispatcher({key: an_operation(cloud.ports.database, seen)}, cloud.ports)

    answer = dispatcher.dispatch(cloud.account, key, {"Word": "ab"})

    assert answer == {"Said": "abab"}
    assert seen == ["checked", "prepared", "checked"]


@pytest.mark.parametrize(
    ("params", "error"),
    [({"Word": "ab", "DryRun": "true"}, DryRunOperation), ({"Word": "taken"}, Taken)],
    ids=["a rehearsal", "what is refused"],
)
def test_it_is_not_made_for(cloud, params, error):
    seen: list[Any] = []
    key = ActionKey(ECS, "SayTwice")

    with pytest.raises(error):
        Dispatcher({key: an_operation(cloud.ports.database, seen)}, cloud.ports).dispatch(cloud.account, key, params)

    assert seen == ["checked"]
