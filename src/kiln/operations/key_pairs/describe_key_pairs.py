"""List key pairs, the newest first. All filters that are sent must hold."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Composed, Count, Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.clock import to_minutes_text
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_tags
from kiln.operations.paging import page
from kiln.operations.params import (
    PageNumber,
    PageSize50,
    RegionId,
    ResourceGroupId,
    TagsOutput,
    draw_tags,
)
from kiln.store import tags
from kiln.store.conditions import Condition, fits
from kiln.store.key_pairs import NEWEST, KeyPair, key_pairs
from kiln.store.tags import Tag


@shape
class Input:
    region_id: RegionId
    key_pair_name: Annotated[
        str | None,
        Composed(),
        Example("*SshKey*"),
        Doc("The whole name, or a pattern in which * stands for any characters."),
    ] = None
    key_pair_finger_print: Annotated[
        str | None, Example("89:f0:ba:62:ac:b8:aa:e1:61:5e:fd:81:69:86:6d:6b"), Doc("The fingerprint.")
    ] = None
    include_public_key: Annotated[bool, Doc("Whether to tell the public keys.")] = False
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only key pairs of this resource group.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only key pairs that have all these tags.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None


@shape
class KeyPairOutput:
    """One key pair."""

    key_pair_name: Annotated[str, Doc("The name.")]
    key_pair_finger_print: Annotated[str, Doc("The MD5 of the public key.")]
    public_key: Annotated[str | None, Doc("The public key as OpenSSH writes it, with IncludePublicKey.")] = None
    creation_time: Annotated[str, Example("2026-11-23T06:07Z"), Doc("When it was made or brought in, UTC.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    tags: Annotated[TagsOutput, Doc("Tags.")]


@shape
class KeyPairsOutput:
    """Key pairs."""

    key_pair: Annotated[tuple[KeyPairOutput, ...], Doc("The key pairs of this page.")]


@shape
class Output:
    key_pairs: Annotated[KeyPairsOutput, Doc("The key pairs.")]
    total_count: Annotated[int, Doc("How many key pairs there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    found = page(call, p, key_pairs, NEWEST, _conditions(p), account=call.account, region=p.region_id)
    labels = tags.of(call.tx, "keypair", [row.id for row in found.rows])
    return Output(
        key_pairs=KeyPairsOutput(key_pair=tuple(_draw(p, row, labels[row.id]) for row in found.rows)),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


def _conditions(p: Input) -> list[Condition]:
    c = key_pairs.c
    wanted = ((c.fingerprint, p.key_pair_finger_print), (c.resource_group, p.resource_group_id))
    conditions: list[Condition] = [column == value for column, value in wanted if value is not None]
    if p.key_pair_name is not None:
        is_pattern = "*" in p.key_pair_name
        conditions.append(fits(c.name, p.key_pair_name) if is_pattern else c.name == p.key_pair_name)
    return conditions + by_tags("keypair", key_pairs, p.tag)


def _draw(p: Input, row: KeyPair, labels: list[Tag]) -> KeyPairOutput:
    return KeyPairOutput(
        key_pair_name=row.name,
        key_pair_finger_print=row.fingerprint,
        public_key=row.public_key if p.include_public_key else None,
        creation_time=to_minutes_text(row.created_at),
        resource_group_id=row.resource_group,
        tags=draw_tags(labels),
    )


describe_key_pairs = Operation(input=Input, output=Output, check=check, errors=(InvalidTagMismatch,))
