"""The words of ``kiln image`` that concern other regions and other accounts: copies and shares."""

from __future__ import annotations

from typing import Annotated

import typer

from kiln.cli.calling import call, call_each
from kiln.cli.crossing import copy_across
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import DEFAULT_TIMEOUT_S, Json, Region, Timeout, Wait, example
from kiln.cli.listings import listing
from kiln.cli.making import make
from kiln.cli.output import Column

ToPool = Annotated[
    str | None,
    typer.Option("--pool", help="Copy it to the pool of the Kiln at this endpoint.", metavar="URL"),
]
Compared = Annotated[
    bool, typer.Option("--compare", help="With --pool: read both once more, and see that guests read the same.")
]

COPY = Takes(
    "CopyImage",
    arguments=("ImageId",),
    names={
        "DestinationRegionId": "to",
        "DestinationImageName": "name",
        "DestinationDescription": "description",
    },
    left_out={
        "KMSKeyId": "an account has one key in a region",
        "EncryptAlgorithm": "there is one algorithm",
    },
)
CANCEL_COPY = Takes("CancelCopyImage", arguments=("ImageId",), is_of_several=True)

_ELSEWHERE = {
    "IsPublic": "there are no community images",
    "LaunchPermission": "the service refuses it",
}
SHARE = Takes(
    "ModifyImageSharePermission",
    arguments=("ImageId", "AddAccount"),
    names={"AddAccount": "account"},
    left_out={**_ELSEWHERE, "RemoveAccount": "`kiln image unshare IMAGE ACCOUNT` takes it"},
)
UNSHARE = Takes(
    "ModifyImageSharePermission",
    arguments=("ImageId", "RemoveAccount"),
    names={"RemoveAccount": "account"},
    left_out={**_ELSEWHERE, "AddAccount": "`kiln image share IMAGE ACCOUNT` takes it"},
)
SHARES = (Column("ACCOUNT", "AliyunId"), Column("SINCE", "SharedTime"))


_COPY_EXAMPLE = example(
    "kiln image copy m-bp146shijn7hujku8a5c --to cn-hangzhou --name web-1",
    "kiln image copy web-1 --pool https://kiln.example.com --compare",
)


def add_to(app: typer.Typer) -> None:
    """Give the words to *app*."""
    declared(app, "copy", COPY, _COPY_EXAMPLE)(_copy)
    declared(
        app,
        "cancel-copy",
        CANCEL_COPY,
        example("kiln image cancel-copy m-bp1hvgwromzv32iq5v8d --region cn-hangzhou"),
    )(_cancel_copies)
    declared(app, "share", SHARE, example("kiln image share m-bp146shijn7hujku8a5c 1000000000000002"))(_share)
    declared(app, "unshare", UNSHARE, example("kiln image unshare m-bp146shijn7hujku8a5c 1000000000000002"))(_unshare)
    listing(
        app,
        Takes("DescribeImageSharePermission", arguments=("ImageId",)),
        SHARES,
        "List the accounts that an image is shared with.",
        "kiln image shares m-bp146shijn7hujku8a5c",
        name="shares",
    )


def _copy(
    given: Given,
    *,
    pool: ToPool = None,
    is_compared: Compared = False,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Copy an image to a region, and print the copy's ID. No bytes are copied, unless it is to be encrypted.

    --region is where the image is. One that is shared with you can be copied within its region.

    With --pool it is copied to the pool of another Kiln, whatever sort either is: its disks, each by itself, with name,
    description, family, tags and how it boots. The keys of that Kiln are KILN_OTHER_ACCESS_KEY_ID and
    KILN_OTHER_ACCESS_KEY_SECRET, else the same as of this one. Ctrl-C takes back what was begun, at both.
    """
    if is_compared and pool is None:
        raise typer.BadParameter("--compare is of a copy to another --pool")
    if pool is not None:
        if not wait_for_it:
            raise typer.BadParameter("--pool needs the wait")
        copy_across(given, pool, region=region, timeout_s=timeout, is_compared=is_compared, as_json=as_json)
        return
    timeout_s = timeout if wait_for_it else None
    make(given, "image", region=region, timeout_s=timeout_s, as_json=as_json, undo="cancel-copy")


def _cancel_copies(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Cancel copies that are still being made; they are gone then. --region is where the copies are."""
    call_each(given, region, as_json=as_json)


def _share(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Share an image with accounts: they may make instances of it and copy it, and nothing else."""
    call(given, region, as_json=as_json)


def _unshare(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Share an image with accounts no longer. Instances that they made of it go on."""
    call(given, region, as_json=as_json)
