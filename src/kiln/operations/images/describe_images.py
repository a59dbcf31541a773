"""List the images that the caller can use, newest first.

Without Status only Available images are listed: one that is still Creating is
seen by asking for it (Status=Creating, or Status=ALL). An ID that is unknown,
or another account's, gives an empty list, not an error.

The list holds the caller's own images and, as those of others, the ones that
other accounts share with it; ImageOwnerAlias chooses between the two. Of those
of others it shows no snapshots, tags and resource group, which are their
owners' to see, so that filters by these find own images alone; Usage tells of
the caller's instances. Nothing is public or sold here, so a query for that
gives an empty list.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, DryRunOperation, MissingParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, CommaList, Composed, Count, Doc, Example, OneOf, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import USABLE, ImageStatus
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import (
    InvalidFilterKeyNotFound,
    InvalidFilterValue,
    InvalidTagMismatch,
    TagFilter,
    by_creation,
    by_nothing,
    by_tags,
)
from kiln.operations.images.parts import lookup, portrait, whose
from kiln.operations.images.parts.portrait import ImageOutput
from kiln.operations.images.parts.whose import Whose
from kiln.operations.params import (
    ARCHITECTURES,
    FilterInput,
    ImageId,
    InResourceGroup,
    PageNumber,
    PageSize100,
    RegionId,
    SnapshotId,
)
from kiln.operations.steps import platforms
from kiln.store import images
from kiln.store.conditions import NOTHING, Condition
from kiln.store.images import Album

ALL = "ALL"
_STATUSES = tuple(ImageStatus)

_ONLINE_CHANGES = ("CpuOnlineUpgrade", "CpuOnlineDowngrade", "MemoryOnlineUpgrade", "MemoryOnlineDowngrade")


class InvalidParamter(ApiError):
    """A Status or ActionType that is none of the documented ones, ALL with others, or more than ten filters."""

    code = "InvalidParamter"
    message = "Invalid Parameter."


class InvalidImageOwnerAliasValueNotSupported(ApiError):
    """ImageOwnerAlias is none of the documented ones."""

    code = "InvalidImageOwnerAlias.ValueNotSupported"
    message = "The specified ImageOwnerAlias value is not supported."


class InvalidInstanceTypeValueNotSupportedOfImages(ApiError):
    """The deployment has no such instance type."""

    code = "InvalidInstanceType.ValueNotSupported"
    message = (
        "The specified instance type {instance_type} does not exist. You can use the DescribeInstanceTypes API to "
        "query the available instance types."
    )


class InvalidFilterValueNetworkType(ApiError):
    """The filter NetworkType is neither vpc nor classic."""

    code = "InvalidFilterValue.NetworkType"
    message = "The specified networkType value in the Filter is invalid."


class InvalidUsage(ApiError):
    """Usage is neither instance nor none."""

    code = "InvalidUsage"
    status = 404
    message = "The specified Usage is not valid."


class InvalidOSType(ApiError):
    """OSType is neither linux nor windows."""

    code = "InvalidOSType"
    status = 404
    message = "The specified OSType is not valid."


class InvalidArchitecture(ApiError):
    """Architecture is none of the documented ones."""

    code = "InvalidArchitecture"
    status = 404
    message = "The specified Architecture is not valid."


@shape
class Input:
    region_id: RegionId
    status: Annotated[
        tuple[str, ...] | None,
        CommaList(),
        OneOf((*_STATUSES, ALL), InvalidParamter),
        Example("Creating,Available"),
        Doc("Statuses, separated by commas, or ALL by itself. Available when not given; needed with Usable."),
    ] = None
    image_id: Annotated[tuple[ImageId, ...] | None, CommaList(), Doc("Only these images.")] = None
    image_name: Annotated[
        str | None,
        Composed(),
        Example("web-*"),
        Doc("The whole name, or a pattern in which * stands for any characters, in any case."),
    ] = None
    image_family: Annotated[str | None, Composed(), Doc("The family.")] = None
    image_owner_alias: Annotated[
        str | None,
        OneOf(("system", "self", "others", "marketplace"), InvalidImageOwnerAliasValueNotSupported),
        Doc(
            "Whose images: the caller's own (self), or those that are shared with it (others); both when it is not "
            "given. For system and marketplace the list is empty."
        ),
    ] = None
    image_owner_id: Annotated[int | None, Doc("The account whose images are wanted.")] = None
    is_public: Annotated[bool | None, Doc("Community images, of which there are none.")] = None
    usable: Annotated[bool | None, Doc("Whether instances can be made of the image now.")] = None
    snapshot_id: Annotated[SnapshotId | None, Doc("Images made of this snapshot.")] = None
    usage: Annotated[
        str | None,
        OneOf(("instance", "none"), InvalidUsage),
        Doc("instance: some instance was made of the image; none: no instance was."),
    ] = None
    action_type: Annotated[
        str | None,
        OneOf(("CreateEcs", "ChangeOS"), InvalidParamter),
        Accepted("What an instance type can start with, it can change to."),
        Doc("What the image is wanted for, with InstanceType."),
    ] = None
    instance_type: Annotated[str | None, Example("ecs.g6.large"), Doc("Images that this instance type can run.")] = None
    os_type: Annotated[
        str | None, Wire("OSType"), OneOf(("linux", "windows"), InvalidOSType), Doc("linux or windows.")
    ] = None
    architecture: Annotated[
        str | None,
        OneOf(ARCHITECTURES, InvalidArchitecture),
        Doc("The CPU that the image runs on."),
    ] = None
    is_support_io_optimized: Annotated[bool | None, Doc("All images do.")] = None
    is_support_cloudinit: Annotated[bool | None, Doc("All images are taken to.")] = None
    show_expired: Annotated[bool | None, Accepted("No image expires."), Doc("Whether to list expired images.")] = None
    resource_group_id: InResourceGroup | None = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Images that have all of these tags.")
    ] = None
    filter: Annotated[
        tuple[FilterInput, ...] | None,
        Count(10, InvalidParamter),
        Doc(
            "CreationStartTime and CreationEndTime (2026-11-23T06:07Z), NetworkType (vpc or classic), and "
            "CpuOnlineUpgrade, CpuOnlineDowngrade, MemoryOnlineUpgrade, MemoryOnlineDowngrade (supported or "
            "unsupported)."
        ),
    ] = None
    page_number: PageNumber = 1
    page_size: PageSize100 = 10


@shape
class ImagesOutput:
    """Images."""

    image: Annotated[tuple[ImageOutput, ...], Doc("The images of this page.")]


@shape
class Output:
    images: Annotated[ImagesOutput, Doc("The images.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    region_id: Annotated[str, Doc("The region.")]
    total_count: Annotated[int, Doc("How many images there are on all pages.")]


def check(call: Call, p: Input) -> Output:
    wanted = whose.asked(call, p)
    statuses = _statuses(p)
    if lookup.is_wanted(p):
        page, total = lookup.find(call, p, statuses, wanted)
        return _answer(p, page, total)
    offset = (p.page_number - 1) * p.page_size
    if lookup.is_all(p) and statuses and wanted.own and not wanted.others:
        album = images.page_of_statuses(call.tx, call.account, p.region_id, statuses, limit=p.page_size, offset=offset)
        last = _last(p, album)
        total = images.count_of_statuses(call.tx, call.account, p.region_id, statuses) if last is None else last
        return _answer(p, portrait.draw(album, call.account), total)
    conditions = [
        _by_whose(p, wanted),
        images.images.c.region == p.region_id,
        *_by_state(p, statuses),
        *_by_name(p),
        *_by_use(call, p),
        *by_tags("image", images.images, p.tag),
        *_by_filter(p),
    ]
    album = images.as_received(call.tx, images.page(call.tx, conditions, p.page_size, offset), call.account)
    last = _last(p, album)
    total = images.images.count(call.tx, *conditions) if last is None else last
    return _answer(p, portrait.draw(album, call.account), total)


def _last(p: Input, album: Album) -> int | None:
    """How many there are on all pages, where the page is the last, and so tells: one that is not full."""
    before = (p.page_number - 1) * p.page_size
    is_last = len(album.images) < p.page_size and (album.images or before == 0)
    return before + len(album.images) if is_last else None


def _answer(p: Input, page: tuple[ImageOutput, ...], total: int) -> Output:
    return Output(
        images=ImagesOutput(image=page),
        page_number=p.page_number,
        page_size=p.page_size,
        region_id=p.region_id,
        total_count=total,
    )


def _statuses(p: Input) -> tuple[str, ...]:
    """The statuses that are asked for."""
    if p.usable is not None and p.status is None:
        raise MissingParameter(parameter="Status")
    statuses: tuple[str, ...] = (ImageStatus.AVAILABLE,) if p.status is None else p.status
    if ALL not in statuses:
        return tuple(dict.fromkeys(statuses))  # A statement is kept for each number of them.
    if len(statuses) > 1:
        raise InvalidParamter(parameter="Status")
    return _STATUSES


def _by_whose(p: Input, wanted: Whose) -> Condition:
    is_of_owners = p.snapshot_id is not None or bool(p.tag) or p.resource_group_id is not None
    return wanted.condition(is_of_owners=is_of_owners, is_used=None if p.usage is None else p.usage == "instance")


def _by_state(p: Input, statuses: tuple[str, ...]) -> list[Condition]:
    c = images.images.c
    conditions: list[Condition] = []
    if statuses is not _STATUSES:
        conditions.append(c.status.in_(statuses))
    if p.usable is not None:
        conditions.append(c.status.in_(USABLE) if p.usable else c.status.not_in(USABLE))
    return conditions


def _by_name(p: Input) -> list[Condition]:
    c = images.images.c
    conditions: list[Condition] = []
    if p.image_id is not None:
        conditions.append(c.id.in_(p.image_id))
    if p.image_name is not None:
        conditions.append(images.named(p.image_name))
    if p.image_family is not None:
        conditions.append(c.family == p.image_family)
    if p.resource_group_id is not None:
        conditions.append(c.resource_group == p.resource_group_id)
    return conditions


def _by_use(call: Call, p: Input) -> list[Condition]:
    c = images.images.c
    conditions: list[Condition] = []
    if p.snapshot_id is not None:
        conditions.append(images.made_of(p.snapshot_id))
    if p.instance_type is not None:
        found = call.deployment.instance_type(p.instance_type)
        if found is None:
            raise InvalidInstanceTypeValueNotSupportedOfImages(instance_type=p.instance_type)
        conditions.append(c.architecture.in_(platforms.RUNS[found.architecture]))
    if p.os_type is not None:
        conditions.append(c.os_type == p.os_type)
    if p.architecture is not None:
        conditions.append(c.architecture == p.architecture)
    if p.is_support_io_optimized is False or p.is_support_cloudinit is False:
        conditions.append(NOTHING)
    return conditions


def _by_filter(p: Input) -> list[Condition]:
    conditions = by_nothing(p.filter)
    for one in p.filter or ():
        if one.key == "NetworkType":
            if one.value not in ("vpc", "classic"):
                raise InvalidFilterValueNetworkType(value=one.value)
        elif one.key in _ONLINE_CHANGES:
            if one.value not in ("supported", "unsupported"):
                raise InvalidFilterValue(key=one.key, value=one.value)
            conditions += [NOTHING] if one.value == "supported" else []
        else:
            conditions += by_creation(images.images, [one])
    return conditions


describe_images = Operation(
    input=Input,
    output=Output,
    check=check,
    dry_run=DryRunOperation,
    errors=(
        MissingParameter,
        InvalidParamter,
        *whose.ERRORS,
        InvalidInstanceTypeValueNotSupportedOfImages,
        InvalidTagMismatch,
        InvalidFilterKeyNotFound,
        InvalidFilterValue,
        InvalidFilterValueNetworkType,
    ),
)
