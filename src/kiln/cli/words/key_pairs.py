"""``kiln key-pair``: make, bring in, list, attach, detach and delete key pairs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from kiln.cli import exits, output
from kiln.cli.calling import call
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.exits import Refusal
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column
from kiln.cli.session import open_client
from kiln.ground.short_files import read_short_text

app = group()

COLUMNS = (
    Column("NAME", "KeyPairName", is_prose=True),
    Column("FINGERPRINT", "KeyPairFingerPrint"),
    Column("CREATED", "CreationTime"),
    Column("GROUP", "ResourceGroupId"),
)

ToFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="A new file for the private key, which only you can read; else it is printed.",
        metavar="FILE",
    ),
]
PublicKey = Annotated[
    Path, typer.Argument(help="The file with the public key, as ssh-keygen makes it.", metavar="FILE")
]

_NAME = {"KeyPairName": "name"}
CREATE = Takes("CreateKeyPair", arguments=("KeyPairName",), names=_NAME)
IMPORT = Takes("ImportKeyPair", arguments=("KeyPairName",), names=_NAME, own={"PublicKeyBody": "FILE"})
ATTACH = Takes("AttachKeyPair", arguments=("KeyPairName", "InstanceIds"), names=_NAME)
DETACH = Takes("DetachKeyPair", arguments=("KeyPairName", "InstanceIds"), names=_NAME)
DELETE = Takes("DeleteKeyPairs", arguments=("KeyPairNames",), names={"KeyPairNames": "name"})


@declared(app, "create", CREATE, example("kiln key-pair create ops --output ops.pem"))
def create_key_pair(given: Given, *, to_file: ToFile = None, region: Region = None, as_json: Json = False) -> None:
    """Make a key pair. The private key is told now and never again: keep it."""
    if to_file is None:
        with open_client(region) as client:
            answer = client.call("CreateKeyPair", given.resolved(client))
        output.show_made(answer, *([] if as_json else answer["PrivateKeyBody"].splitlines()), as_json=as_json)
        return
    try:
        # Before anything is asked: a key that cannot be written down would be lost.
        descriptor = os.open(to_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Refusal(f"{to_file} cannot be made: {error.strerror}", exits.USAGE) from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file, open_client(region) as client:
            answer = client.call("CreateKeyPair", given.resolved(client))
            file.write(answer["PrivateKeyBody"])
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        if not to_file.stat().st_size:
            to_file.unlink()
        raise
    output.show_made(answer, answer["KeyPairName"], as_json=as_json)


@declared(app, "import", IMPORT, example("kiln key-pair import mine ~/.ssh/id_ed25519.pub"))
def import_key_pair(given: Given, *, public_key: PublicKey, region: Region = None, as_json: Json = False) -> None:
    """Bring in the public key of a key pair that you have."""
    try:
        line = read_short_text(public_key)
    except (OSError, ValueError) as error:
        raise Refusal(f"{public_key} cannot be read: {error}", exits.USAGE) from error
    with open_client(region) as client:
        answer = client.call("ImportKeyPair", {**given.resolved(client), "PublicKeyBody": line})
    output.show_made(answer, answer["KeyPairName"], as_json=as_json)


listing(
    app,
    Takes("DescribeKeyPairs", names=_NAME | {"KeyPairFingerPrint": "fingerprint"}),
    COLUMNS,
    "List key pairs, the newest first.",
    "kiln key-pair list --name 'packer*'",
)


@declared(app, "attach", ATTACH, example("kiln key-pair attach ops web-1 web-2"))
def attach_key_pair(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Give instances a key pair, in place of what each had. One that runs has it after a reboot."""
    _change(given, region, as_json=as_json)


@declared(app, "detach", DETACH, example("kiln key-pair detach ops web-1"))
def detach_key_pair(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Take a key pair from instances."""
    _change(given, region, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln key-pair delete ops"))
def delete_key_pairs(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete key pairs that no instance has: all of them, or none."""
    call(given, region, as_json=as_json)


def _change(given: Given, region: str | None, *, as_json: bool) -> None:
    answer = call(given, region, as_json=as_json)
    failed = [one for one in answer["Results"]["Result"] if one["Success"] != "true"]
    if failed:
        told = "; ".join(f"{one['InstanceId']}: {one['Message']}" for one in failed)
        raise Refusal(f"{len(failed)} of {answer['TotalCount']} instances were refused: {told}", exits.REFUSED)
