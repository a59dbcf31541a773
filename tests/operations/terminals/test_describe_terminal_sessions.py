"""DescribeTerminalSessions, as a caller meets it."""

from __future__ import annotations

from kiln.calls.origin import Origin
from kiln.calls.sessions import Session
from kiln.store.terminals import URL_S, terminals
from tests.catalogue import key_of
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.consoled import a_running_instance
from tests.operations.terminals.test_start_terminal_session import start


def listed(cloud, **more):
    return cloud.call("DescribeTerminalSessions", **more)["Sessions"]["Session"]


def connection(cloud, session):
    (one,) = listed(cloud, SessionId=session)
    return one["Connections"]["Connection"][0]


def test_tells_how_a_session_went(cloud):
    instance = a_running_instance(cloud)
    answer = start(cloud, instance)
    waiting = connection(cloud, answer["SessionId"])
    cloud.ports.terminals.join(
        cloud.ports.database, answer["SessionId"], answer["SecurityToken"], cloud.clock(), lambda _: None
    )
    joined = connection(cloud, answer["SessionId"])
    cloud.ports.terminals.end(cloud.ports.database, answer["SessionId"], "its client left", cloud.clock())
    over = connection(cloud, answer["SessionId"])

    assert (waiting["Status"], waiting["StartTime"], waiting["EndTime"]) == ("Connecting", "", "")
    assert (joined["Status"], joined["EndTime"], joined["InstanceId"]) == ("Connected", "", instance)
    assert (over["Status"], over["ClosedReason"], over["FailedDetail"]) == ("Terminated", "its client left", "")
    assert "" not in {over["StartTime"], over["EndTime"]}


def test_tells_why_nobody_could_be_joined(cloud):
    answer = start(cloud, a_running_instance(cloud))
    cloud.ports.terminals.join(
        cloud.ports.database, answer["SessionId"], answer["SecurityToken"], cloud.clock(), lambda _: None
    )
    cloud.ports.terminals.end(cloud.ports.database, answer["SessionId"], "it is in use", cloud.clock(), has_failed=True)

    told = connection(cloud, answer["SessionId"])

    assert (told["Status"], told["FailedDetail"]) == ("Failed", "it is in use")


def test_one_whose_url_was_not_used_is_over(cloud):
    session = start(cloud, a_running_instance(cloud))["SessionId"]
    cloud.clock.now += URL_S

    assert connection(cloud, session)["ClosedReason"] == "its URL was not used in time"


def test_tells_who_asked(cloud):
    params = {"RegionId": REGION, "InstanceId.1": a_running_instance(cloud)}
    role = Session(role="packer", name="alice", parent="LTAI", expires_at=cloud.clock() + 900)
    for origin in (Origin(peer="192.0.2.7"), Origin(session=role)):
        cloud.dispatcher.dispatch(ACCOUNT, key_of("StartTerminalSession"), params, origin)

    by_role, by_account = listed(cloud)

    assert (by_account["IdentityType"], by_account["PrincipalId"]) == ("Account", ACCOUNT)
    assert by_account["ClientIP"] == "192.0.2.7"
    assert by_role["IdentityType"] == "AssumedRoleUser"
    assert by_role["PrincipalId"] == f"{role.role_id(ACCOUNT)}:alice"


def test_tells_an_account_of_its_own_by_instance_and_by_session(cloud):
    one, other = a_running_instance(cloud), a_running_instance(cloud)
    first, second = (start(cloud, instance)["SessionId"] for instance in (one, other))

    assert [row["SessionId"] for row in listed(cloud)] == [second, first]
    assert [row["SessionId"] for row in listed(cloud, InstanceId=one)] == [first]
    assert [row["SessionId"] for row in listed(cloud, SessionId=second)] == [second]
    assert listed(cloud, SessionId="ts-none") == []
    assert listed(cloud, account=OTHER) == []


def paged(cloud):
    found, token = [], ""
    while True:
        answer = cloud.call("DescribeTerminalSessions", MaxResults=2, NextToken=token)
        found += [row["SessionId"] for row in answer["Sessions"]["Session"]]
        token = answer["NextToken"]
        if not token:
            return found


def test_tells_each_once_of_those_that_were_begun_at_once(cloud):
    instance = a_running_instance(cloud)
    made = [start(cloud, instance)["SessionId"] for _ in range(9)]
    cloud.ports.database.write(lambda tx: terminals.update(tx, {"created_at": cloud.clock.now}))

    assert sorted(paged(cloud)) == sorted(made)


def test_tells_them_page_by_page(cloud):
    instance = a_running_instance(cloud)
    made = [start(cloud, instance)["SessionId"] for _ in range(5)]

    assert paged(cloud) == made[::-1]
    assert len(listed(cloud, MaxResults=0)) == 1
    cloud.refuses("DescribeTerminalSessions", "InvalidParameter", 400, NextToken="none")
