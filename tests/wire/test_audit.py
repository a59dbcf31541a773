"""What the audit keeps of calls: each change, refused calls by the handful, and no secret of any."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from kiln.calls.call import NOWHERE
from kiln.calls.origin import Origin
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.products import ECS, ActionKey
from kiln.declare.rules import CommaList
from kiln.declare.shapes import Field, fields_of
from kiln.ground.vouching import HEADER, Voucher
from kiln.operations import ALL, CATALOGUE
from kiln.operations.audit.parts.events import draw
from kiln.store.audit import AuditEvent, audit
from kiln.wire.audit import Audit
from kiln.wire.dispatch import Dispatcher
from kiln.wire.doors.door import RawRequest
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from kiln.wire.refusals import MOST, Refusals
from kiln.wire.telling import CUT, MASK, Telling
from tests.catalogue import BY_NAME, key_of, title_of
from tests.clouds import ACCOUNT, REGION, make_cloud
from tests.fuzz.requests import KEY_ID, WAYS
from tests.fuzz.target import OneAccount, read
from tests.service.measured import measured

CALLS = "kiln_audit_calls_total"

A_DISK = {"RegionId": REGION, "ZoneId": f"{REGION}-a", "Size": "20"}

#: How the names of what nobody else may read end.
_SECRET = re.compile(r"(Password|Secret|UserData|PrivateKeyBody|SecurityToken|WebSocketUrl|CommandContent)$")
#: Those that end so, and hold none.
_NONE = {"RamRoleName"}

CHANGES = pytest.mark.parametrize("operation", [one for one in ALL if not one.is_read], ids=title_of)


class Called(NamedTuple):
    """A call that came to something."""

    operation: Operation
    key: ActionKey
    params: dict[str, str]
    account: str = ACCOUNT
    origin: Origin = NOWHERE


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


def test_leaves_out_a_long_answer_before_what_was_sent(kept, cloud, log):
    asked = Called(BY_NAME["CreateDisk"], key_of("CreateDisk"), A_DISK)

    cloud.ports.database.write(lambda tx: log.record(tx, asked, 1.0, {"DiskId": "x" * 20_000}))

    (row,) = kept()
    assert draw(row).response_elements == {CUT: CUT}
    assert draw(row).request_parameters == A_DISK


def test_no_change_takes_a_list_with_commas_in_which_nobody_would_find_an_id():
    taken = {(title_of(one), field.wire) for one in ALL if not one.is_read for field in one.parameters}
    packed = {(title_of(one), field.wire) for one in ALL for field in one.parameters if field.packed is CommaList}

    assert not taken & packed
    assert packed


def test_finds_what_is_named_in_a_list_that_is_packed_as_json(kept, cloud, log):
    one, other = (new_id("instance") for _ in range(2))
    asked = Called(BY_NAME["RebootInstance"], key_of("RebootInstance"), {"InstanceId": json.dumps([one, other])})

    cloud.ports.database.write(lambda tx: log.record(tx, asked, 1.0, {}))

    assert kept()[0].resources == f" {one} {other} "


def test_masks_what_is_spelled_below_something_that_has_no_parts():
    telling = Telling(BY_NAME["ModifyInstanceAttribute"])

    told = telling.request({f"RemoteConnectionOptions.{name}": "x" for name in ("Type", "Type.More", "Shoe", "")})

    assert told == {f"RemoteConnectionOptions.{name}": MASK for name in ("Type.More", "Shoe", "")} | {
        "RemoteConnectionOptions.Type": "x"
    }


def test_remembers_no_more_names_than_a_few_whatever_is_sent():
    telling = Telling(BY_NAME["CreateDisk"])
    for n in range(5):
        telling.request({f"Shoe.{n}.{m}": "x" for m in range(500)})

    assert telling.request({"Shoe.1.1": "x", "Shoe.4.499": "x", "DiskName": "y"}) == {"DiskName": "y"}


def test_counts_what_was_written_and_what_was_refused_alike(cloud, kept, refused):
    log, ask = refused
    before = measured(cloud)
    ask("CreateDisk", A_DISK)
    for _ in range(3):
        ask("DeleteDisk", {"DiskId": "d-none"})
    log.write_refused()

    found = measured(cloud)
    counts = {how: found.since(before, CALLS, outcome=how) for how in ("written", "refused", "counted", "lost")}
    assert counts == {"written": 1, "refused": 1, "counted": 2, "lost": 0}


def test_counts_refused_calls_that_no_database_takes_in_the_end(cloud, log, refused):
    before = measured(cloud)
    rows = Refusals()
    rows.put_back([{}] * 250)

    assert measured(cloud).since(before, CALLS, outcome="lost") == 50


def test_keeps_from_where_a_browser_asked_of_calls_of_its_own_console_alone(cloud, kept):
    voucher = Voucher()
    gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock, voucher=voucher)
    said = [voucher.say("192.0.2.9"), Voucher().say("192.0.2.10"), {HEADER: "192.0.2.11"}, {HEADER: " 192.0.2.12"}, {}]
    for headers in said:
        request = WAYS[0]("CreateDisk", A_DISK, cloud.clock())
        gateway.answer(replace(request, headers=[*request.headers, *headers.items()], client_host="127.0.0.1"))

    assert [draw(row).source_ip_address for row in kept()] == ["192.0.2.9", *["127.0.0.1"] * 4]


def test_keeps_no_line_of_a_change_that_was_rolled_back(cloud, kept):
    class Broken(Exception):
        pass

    def fail(_: object) -> None:
        raise Broken

    # After all that a request does, and before its commit.
    database = cloud.ports.database
    before, database.enclose = database.enclose, fail
    with pytest.raises(Broken):
        cloud.call("CreateDisk", A_DISK)
    database.enclose = before

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
