"""What StartInstances, StopInstances, RebootInstances and DeleteInstances share: several instances in one request.

The reference does not say what a repeated ID means; it counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, TypeVar

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.rules import Count, Doc, Missing, OneOf, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.instances import InvalidParameterTooManyInstanceIds
from kiln.operations.instances.parts import orders
from kiln.operations.instances.parts.orders import Order
from kiln.operations.params import InstanceId
from kiln.store.instances import instances

Checked = TypeVar("Checked")

_TOGETHER, _SUCCESS_FIRST = "AllTogether", "SuccessFirst"


class InvalidInstanceIdNotFoundOfNone(ApiError):
    """No instance was named."""

    code = "InvalidInstanceId.NotFound"
    status = 403
    message = "InstanceId should not be null."


InstanceIds = Annotated[
    tuple[InstanceId, ...],
    Unordered(since=3),
    Count(100, InvalidParameterTooManyInstanceIds),
    Missing(InvalidInstanceIdNotFoundOfNone),
    Doc("The instances, 1 to 100. One that is named twice counts once."),
]
BatchOptimization = Annotated[
    str,
    OneOf((_TOGETHER, _SUCCESS_FIRST)),
    Doc(
        "AllTogether: when one instance cannot be taken the request is refused with its error, and nothing is done. "
        "SuccessFirst: each is taken or refused by itself, and the answer tells of each."
    ),
]


@shape
class InstanceResponse:
    """What became of one instance."""

    instance_id: InstanceId
    code: Annotated[str, Doc("200, or the code of the error with which it was refused.")]
    message: Annotated[str, Doc("success, or the text of the error.")]
    previous_status: Annotated[str | None, Doc("Its status before; absent of an instance that is not found.")] = None
    current_status: Annotated[str | None, Doc("Its status now; absent of an instance that is not found.")] = None


@shape
class InstanceResponses:
    """What became of each instance."""

    instance_response: Annotated[tuple[InstanceResponse, ...], Doc("One for each, in the order of the request.")]


@shape
class Output:
    instance_responses: Annotated[InstanceResponses, Doc("What became of each instance.")]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to become of one instance: an order, or the error with which it is refused."""

    instance_id: str
    status: str | None  #: At this moment; None of an instance that is not found.
    order: Order | None = None
    error: ApiError | None = None


def named(given: Collection[str]) -> list[str]:
    """The IDs, each once. Raises InvalidInstanceIdNotFoundOfNone for an empty list."""
    if not given:
        raise InvalidInstanceIdNotFoundOfNone
    return list(dict.fromkeys(given))


def each(given: Collection[str], check: Callable[[str], Checked]) -> list[Checked]:
    """What *check* says of each instance. Raises what it raises, which names the instance then."""
    return [_named(one, check) for one in named(given)]


def judge(
    call: Call, region: str, given: Collection[str], optimization: str, check: Callable[[str], Order]
) -> list[Verdict]:
    """What *check* says of each instance. Raises what it raises, as ``each``, unless the successful shall go first."""
    if optimization == _TOGETHER:
        return [_accept(order) for order in each(given, check)]
    return [_judge(call, region, one, check) for one in named(given)]


def begin(call: Call, verdicts: Collection[Verdict]) -> Output:
    """Begin what was ordered, and tell what became of each."""
    for verdict in verdicts:
        if verdict.order is not None:
            orders.begin(call, verdict.order)
    return Output(
        instance_responses=InstanceResponses(instance_response=tuple(_respond(verdict) for verdict in verdicts))
    )


def _judge(call: Call, region: str, instance_id: str, check: Callable[[str], Order]) -> Verdict:
    try:
        return _accept(check(instance_id))
    except ApiError as error:
        row = instances.find(call.tx, id=instance_id, **call.own(region))
        return Verdict(instance_id=instance_id, status=None if row is None else row.status, error=error)


def _accept(order: Order) -> Verdict:
    return Verdict(instance_id=order.instance.id, status=order.instance.status, order=order)


def _named(instance_id: str, check: Callable[[str], Checked]) -> Checked:
    try:
        return check(instance_id)
    except ApiError as error:
        raise error.about(instance_id) from None


def _respond(verdict: Verdict) -> InstanceResponse:
    return InstanceResponse(
        instance_id=verdict.instance_id,
        code="200" if verdict.error is None else verdict.error.code,
        message="success" if verdict.error is None else str(verdict.error),
        previous_status=verdict.status,
        current_status=verdict.status if verdict.order is None else verdict.order.at_once,
    )
