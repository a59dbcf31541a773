"""Tell what the account's disks, snapshots and images take in the pool, by kind, and how long the disks' chains are.

An image shares its snapshots' bytes, and a disk those of the image that it was made of: what is told is what lies in
the pool, each thing once. ECS tells the sizes that disks have for a guest, and not this. What another account's disks
and snapshots stand on as well is told to neither.

It is looked at now and then, since that takes longer the more there is: `LookedAt` says when.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ServiceUnavailable
from kiln.declare.holdings import Use
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text

_TOLD = (Use.HEAD, Use.NAMED, Use.UNNAMED, Use.DOOMED, Use.TRASH)


@shape
class Input:
    pass


@shape
class UseOutput:
    """What is there of one kind."""

    use: Annotated[
        str,
        Example("named"),
        Doc(
            "`head`: what a disk writes to. `named`: a layer that a snapshot, and so perhaps an image, names. "
            "`unnamed`: a layer that nothing names any more, and on which something stands. `doomed`: what waits to be "
            "swept. `trash`: what was swept, and can be had back until its grace is over."
        ),
    ]
    volumes: Annotated[int, Doc("How many there are.")]
    bytes: Annotated[int, Doc("What they take on the disk of the pool.")]


@shape
class UsesOutput:
    """Kinds."""

    use: Annotated[tuple[UseOutput, ...], Doc("All five, whatever there is of each.")]


@shape
class ChainDepthOutput:
    """Disks whose chains are equally long."""

    depth: Annotated[int, Doc("So many volumes a disk is made of, the one that it writes to included.")]
    disks: Annotated[int, Doc("How many disks are.")]


@shape
class ChainDepthsOutput:
    """Depths."""

    chain_depth: Annotated[tuple[ChainDepthOutput, ...], Doc("Those that there are, the least first.")]


@shape
class Output:
    uses: Annotated[UsesOutput, Doc("What is there, by kind.")]
    chain_depths: Annotated[ChainDepthsOutput, Doc("How long the chains of the account's disks are.")]
    looked_at: Annotated[str, Example("2026-11-29T06:07:05Z"), Doc("When that was so.")]


def inquire(call: Call, p: Input) -> Future[None] | None:  # noqa: ARG001 - it is asked for without parameters.
    ports = call.ports
    return ports.holdings.ask(ports.database, ports.pool, ports.clock)


def check(call: Call, p: Input) -> Output:  # noqa: ARG001 - as above.
    found = call.ports.holdings.found
    if found is None:
        raise ServiceUnavailable
    own = found.of(call.account)
    return Output(
        uses=UsesOutput(
            use=tuple(UseOutput(use=use, volumes=own.volumes.get(use, 0), bytes=own.taken.get(use, 0)) for use in _TOLD)
        ),
        chain_depths=ChainDepthsOutput(
            chain_depth=tuple(ChainDepthOutput(depth=depth, disks=own.depths[depth]) for depth in sorted(own.depths))
        ),
        looked_at=to_seconds_text(found.at),
    )


describe_storage = Operation(input=Input, output=Output, inquire=inquire, check=check)
