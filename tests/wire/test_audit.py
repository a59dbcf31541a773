"""What the audit keeps of calls: each change, refused calls by the handful, and no secret of any."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.shapes import Field, fields_of
from kiln.operations import ALL, CATALOGUE
from kiln.operations.audit.parts.events import draw
from kiln.store.audit import AuditEvent, audit
from kiln.wire.audit import Audit
from kiln.wire.dispatch import Dispatcher
from kiln.wire.doors.door import RawRequest
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from kiln.wire.refusals import MOST
from kiln.wire.telling import CUT, MASK, Telling
from tests.catalogue import BY_NAME, key_of, title_of
from tests.clouds import ACCOUNT, REGION, make_cloud
from tests.fuzz.requests import KEY_ID, WAYS
from tests.fuzz.target import OneAccount, read

A_DISK = {"RegionId": REGION, "ZoneId": f"{REGION}-a", "Size": "20"}

#: How the names of what nobody else may read end.
_SECRET = re.compile(r"(Password|Secret|UserData|PrivateKeyBody|SecurityToken|WebSocketUrl|CommandContent)$")
#: Those that end so, and hold none.
_NONE = {"RamRoleName"}

CHANGES = pytest.mark.parametrize("operation", [one for one in ALL if not one.is_read], ids=title_of)


def walk(kind: type, under: str = "") -> Iterator[tuple[str, Field]]:
    for field in fields_of(kind):
        name = under + field.wire + (".1" if field.repeated and field.packed is None else "")
        yield name, field
        if field.is_shape:
            yield from walk(field.kind, name + ".")


@pytest.fixture
def cloud(tmp_path, sqlite):
    return make_cloud(tmp_path, sqlite)


@pytest.fixture
def kept(cloud):
    """The rows, the oldest first."""

    def look() -> list[AuditEvent]:
        with cloud.ports.database.read() as tx:
            return audit.all(tx)

    return look


@pytest.fixture
def log(cloud) -> Audit:
    return Audit(cloud.ports)


@pytest.fixture
def gateway(cloud, log) -> Gateway:
    return Gateway(Dispatcher(CATALOGUE, cloud.ports, audit=log), OneAccount(), MemoryNonces(), cloud.clock)


@pytest.fixture
def refused(cloud, log, gateway):
    """An audit, and what answers requests that it hears of."""

    def ask(action: str, params: dict[str, str], way=WAYS[0]) -> dict:
        return read(gateway.answer(way(action, params, cloud.clock())))

    return log, ask


@pytest.mark.parametrize("operation", ALL, ids=title_of)
def test_what_nobody_else_may_read_is_declared_a_secret(operation: Operation):
    for kind in (operation.input, operation.output):
        for name, field in walk(kind):
            if _SECRET.search(name) and name not in _NONE and field.kind is str and not operation.is_read:
                assert field.is_secret, f"{title_of(operation)}: {name}"


@CHANGES
def test_masks_every_secret_of_a_request(operation: Operation):
    telling = Telling(operation)
    for name, field in walk(operation.input):
        if field.is_secret:
            head = name.partition(".")[0]
            spelled = {
                name: "the-secret",
                **({head: '{"x":"the-secret"}', f"{head}.1.x": "the-secret"} if "." in name else {}),
            }
            assert telling.request(spelled) == dict.fromkeys(spelled, MASK)
            assert "the-secret" not in telling.without_secrets("it is not the-secret", {name: "the-secret"})


@CHANGES
def test_masks_every_secret_of_an_answer(operation: Operation):
    secrets = {field.wire: "the-secret" for field in fields_of(operation.output) if field.is_secret}

    assert Telling(operation).answer(secrets) == dict.fromkeys(secrets, MASK)


def test_tells_what_was_spelled_in_an_older_way():
    spelled = {"regionId": "cn-x", "RegionId": "cn-x"}

    assert Telling(BY_NAME["DeleteAutoSnapshotPolicy"]).request(spelled) == spelled


def test_tells_what_is_declared_and_cuts_what_is_long():
    telling = Telling(BY_NAME["CreateDisk"])

    told = telling.request({"DiskName": "x" * 5000, "Shoe": "size", "Tag.1.Key": "a", "ClientToken": "once"})

    assert told == {"DiskName": "x" * 1024 + CUT, "Tag.1.Key": "a", "ClientToken": "once"}
    many = {f"Tag.{n}.Key": "x" * 1000 for n in range(1000)}
    assert len(json.dumps(telling.request(many))) < 10_000


@pytest.mark.parametrize("way", WAYS)
def test_keeps_who_called_by_every_door(cloud, kept, refused, way):
    _, ask = refused

    answer = ask("CreateDisk", A_DISK, way)

    (row,) = kept()
    event = draw(row)
    assert (event.event_id, event.user_identity.account_id) == (answer["RequestId"], ACCOUNT)
    assert event.request_parameters == A_DISK
    assert event.response_elements["DiskId"] == answer["DiskId"]


def test_keeps_little_of_what_is_sent_in_letters_of_many_bytes(kept, refused):
    log, ask = refused
    wide = {f"Tag.{n}.{part}": "\U0001f600" * 128 for n in range(1, 21) for part in ("Key", "Value")}

    ask("RunInstances", wide | {"RegionId": REGION})

    assert log.write_refused() == 1
    (row,) = kept()
    assert len(row.detail.encode()) <= 16384
    assert draw(row).request_parameters == {CUT: CUT}


def test_keeps_no_line_of_a_change_that_was_rolled_back(cloud, kept):
    class Broken(Exception):
        pass

    def fail(_: object) -> None:
        raise Broken

    # After all that a request does, and before its commit.
    database = cloud.ports.database
    whole = database._do
    database._do = lambda tx, work: fail(whole(tx, work))
    with pytest.raises(Broken):
        cloud.call("CreateDisk", A_DISK)
    database._do = whole

    assert kept() == []
    assert cloud.call("DescribeDisks")["TotalCount"] == 0


def test_keeps_refused_calls_that_are_alike_as_one(kept, refused):
    log, ask = refused
    for name in ("1", "2", "3"):
        ask("CreateDisk", A_DISK | {"DiskName": name})
    ask("DeleteDisk", {"DiskId": "d-none"})

    assert kept() == []
    assert log.write_refused() == 2
    assert log.write_refused() == 0
    events = {row.name: draw(row) for row in kept()}
    first = events["CreateDisk"]
    assert (first.error_code, first.additional_event_data["Count"]) == ("InvalidDiskName.Malformed", 3)
    assert (first.request_parameters["DiskName"], first.response_elements) == ("1", {})
    assert first.user_identity.access_key_id == KEY_ID
    assert "Count" not in events["DeleteDisk"].additional_event_data


def test_keeps_a_handful_of_refused_calls_however_many_there_were(kept, refused):
    log, ask = refused
    actions = [title_of(operation) for operation in ALL if not operation.is_read]
    for action in actions:
        ask(action, {"RegionId": "nowhere"})

    log.write_refused()

    rows = kept()
    assert len(rows) == MOST
    counted = sum(draw(row).additional_event_data.get("OthersRefused", 0) for row in rows)
    assert 0 < counted <= len(actions) - MOST


def test_keeps_nothing_of_refused_reads_and_dry_runs_or_of_who_has_not_signed(kept, gateway, refused):
    log, ask = refused
    ask("DescribeDisks", {"RegionId": "nowhere"})
    ask("CreateDisk", A_DISK | {"DryRun": "true"})
    ask("MakeCoffee", A_DISK)
    unsigned = urlencode({"Action": "CreateDisk", "Version": ECS.version, "AccessKeyId": KEY_ID, **A_DISK}).encode()
    gateway.answer(RawRequest(method="GET", path="/", query_string=unsigned, headers=[], body=b""))

    log.write_refused()

    assert kept() == []


def test_writes_refused_calls_that_could_not_be_written_the_next_time(cloud, kept, refused):
    log, ask = refused
    ask("DeleteDisk", {"DiskId": "d-none"})
    database = cloud.ports.database

    def refuse(_: object) -> None:
        raise OSError("no more")

    database.fence = refuse
    with pytest.raises(OSError, match="no more"):
        log.write_refused()
    database.fence = None

    assert log.write_refused() == 1
    assert [row.name for row in kept()] == ["DeleteDisk"]


def test_masks_a_password_that_was_refused(kept, refused):
    log, ask = refused
    ask("ReplaceSystemDisk", {"InstanceId": "i-none", "ImageId": "m-none", "Password": "weak-and-told"})

    log.write_refused()

    (row,) = kept()
    assert row.error
    assert "weak-and-told" not in repr(row)


def test_writes_nothing_where_it_is_off(cloud, kept):
    log = Audit(cloud.ports, is_on=False)
    dispatcher = Dispatcher(CATALOGUE, cloud.ports, audit=log)

    dispatcher.dispatch(ACCOUNT, key_of("CreateDisk"), A_DISK)
    with pytest.raises(ApiError):
        dispatcher.dispatch(ACCOUNT, key_of("CreateDisk"), {})

    assert kept() == []
