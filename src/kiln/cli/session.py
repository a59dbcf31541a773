"""From the environment to a client: where the service is, and who calls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.client.client import Client
from kiln.client.transport import EndpointRefused
from kiln.service.datafolder import DataFolder

#: Each setting and the variables that may hold it, the first one that is set wins.
ENDPOINT = ("KILN_ENDPOINT",)
KEY_ID = ("KILN_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID")
KEY_SECRET = ("KILN_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")
OTHER_KEY_ID = ("KILN_OTHER_ACCESS_KEY_ID",)
OTHER_KEY_SECRET = ("KILN_OTHER_ACCESS_KEY_SECRET",)
REGION = ("KILN_REGION", "ALIBABA_CLOUD_REGION_ID")
DATA = ("KILN_DATA",)
SHARED = ("KILN_SHARED",)

ADVICE = (
    'Where the service runs, `eval "$(kiln env)"` sets all of them for this shell (add `--data DIR` if it was started '
    "with that). Elsewhere, copy the lines that `kiln env` prints there, with an address by which the service is "
    "reached from here: 127.0.0.1 is this machine."
)


@contextmanager
def open_client(region: str | None = None, endpoint: str | None = None) -> Iterator[Client]:
    """The client that the environment describes, or one at *endpoint*; closed at the end.

    Raises Refusal, EndpointRefused.
    """
    endpoint, key_id, key_secret = endpoint or _find(ENDPOINT), _find(KEY_ID), _find(KEY_SECRET)
    given = ((ENDPOINT, endpoint), (KEY_ID, key_id), (KEY_SECRET, key_secret))
    missing = [names[0] for names, value in given if not value]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise Refusal(f"{', '.join(missing)} {are} not set", exits.SETTINGS, ADVICE)
    if not all(" " < c <= "~" for c in key_id):
        raise Refusal(f"{KEY_ID[0]} is {key_id!r}, and an AccessKey ID has no such characters", exits.SETTINGS, ADVICE)
    if not all(" " < c <= "~" for c in key_secret):
        raise Refusal(f"{KEY_SECRET[0]} has characters that no secret has", exits.SETTINGS, ADVICE)
    with closing(Client(endpoint, key_id, key_secret, region or _find(REGION))) as client:
        yield client


@contextmanager
def open_other(endpoint: str, beside: Client, region: str | None, flag: str) -> Iterator[Client]:
    """A client of another Kiln, by its own keys where the environment has them, else by those of *beside*.

    *flag* is what named it. Its region is *region*, else that of *beside* where there is one of that name, else the
    first. Raises as ``open_client`` does, and Refusal of an *endpoint* that is no address.
    """
    keys = (_find(OTHER_KEY_ID), _find(OTHER_KEY_SECRET))
    if any(keys) and not all(keys):
        raise Refusal(f"{OTHER_KEY_ID[0]} and {OTHER_KEY_SECRET[0]} are set together", exits.SETTINGS)
    try:
        other = Client(endpoint, *(keys if all(keys) else beside.keys))
    except EndpointRefused as error:
        raise Refusal(str(error), exits.SETTINGS, f"{flag} must be of the form http://HOST:PORT.") from error
    with closing(other) as client:
        known = [str(one["RegionId"]) for one in client.rows("DescribeRegions")]
        client.region = region or (beside.region if beside.region in known else next(iter(known), ""))
        yield client


def said_in(client: Client, command: str) -> str:
    """*command* as it is to be said in this shell: with ``--region`` where the client's is not what the shell has."""
    return command if client.region == _find(REGION) else f"{command} --region {client.region}"


def find_data_folder(given: Path | None) -> Path | None:
    """The data folder of the Kiln on this machine, if one is named."""
    named = _find(DATA)
    return given or (Path(named) if named else None)


def find_shared_folder(given: Path | None) -> Path | None:
    """Where pool and buckets of the Kiln on this machine lie: what it shares with others, else its data folder."""
    folder, shared = find_data_folder(given), _find(SHARED)
    return folder if folder is None or not shared else Path(shared)


def find_buckets(given: Path | None) -> Path | None:
    """The folder in which the service's buckets are folders; None where it is elsewhere, and *given* is none."""
    folder = find_shared_folder(given)
    is_elsewhere = given is None and (folder is None or not DataFolder(folder).buckets.is_dir())
    return None if is_elsewhere else folder


def _find(names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := os.environ.get(name, ""))), "")
