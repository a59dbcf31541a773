"""StartTerminalSession, as a caller meets it."""

from __future__ import annotations

from kiln.calls.origin import Origin
from kiln.calls.terminals import MOST_OPEN
from kiln.store.terminals import URL_S
from tests.catalogue import key_of
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.consoled import a_running_instance
from tests.stock import an_instance


def start(cloud, instance, **more):
    return cloud.call("StartTerminalSession", {"InstanceId.1": instance}, **more)


def test_gives_a_url_with_the_session_and_its_token(cloud):
    answer = start(cloud, a_running_instance(cloud), ConnectionType="Intranet")

    assert answer["SessionId"].startswith("ts-")
    assert len(answer["SecurityToken"]) == 43
    assert answer["WebSocketUrl"] == (
        f"ws://127.0.0.1:8787/session?sessionid={answer['SessionId']}&token={answer['SecurityToken']}"
    )


def test_the_url_leads_to_where_the_request_came(cloud):
    params = {"RegionId": REGION, "InstanceId.1": a_running_instance(cloud)}

    def url(**origin):
        answer = cloud.dispatcher.dispatch(ACCOUNT, key_of("StartTerminalSession"), params, Origin(**origin))
        return answer["WebSocketUrl"].partition("/session")[0]

    assert url(host="kiln.lan:80") == "ws://kiln.lan:80"
    assert url(host="kiln.lan", is_tls=True) == "wss://kiln.lan"
    assert url(host="ecs.cn-hangzhou.aliyuncs.com", is_tls=True) == "wss://127.0.0.1:8787"


def test_keeps_nothing_by_which_a_session_could_be_joined(cloud):
    answer = start(cloud, a_running_instance(cloud))

    assert answer["SecurityToken"] not in repr(cloud.contents())


def test_gives_each_its_own(cloud):
    instance = a_running_instance(cloud)
    answers = [start(cloud, instance) for _ in range(3)]

    assert len({answer["SessionId"] for answer in answers}) == 3
    assert len({answer["SecurityToken"] for answer in answers}) == 3


def test_a_token_that_stands_for_another_question_is_refused(cloud):
    instance = a_running_instance(cloud)
    first = start(cloud, instance, ClientToken="t-1")

    assert start(cloud, instance, ClientToken="t-1") == first
    other = {"InstanceId.1": instance, "ConnectionType": "Intranet"}
    cloud.refuses("StartTerminalSession", "IdempotentParameterMismatch", 400, other, ClientToken="t-1")


def test_needs_one_running_instance_of_the_caller(cloud):
    instance = a_running_instance(cloud)
    stopped = an_instance(cloud).id

    cloud.refuses("StartTerminalSession", "InvalidInstanceId.NotFound", 404, {"InstanceId.1": "i-none"})
    cloud.refuses("StartTerminalSession", "InvalidInstanceId.NotFound", 404, {"InstanceId.1": instance}, account=OTHER)
    cloud.refuses("StartTerminalSession", "IncorrectInstanceStatus", 403, {"InstanceId.1": stopped})
    cloud.refuses("StartTerminalSession", "MissingParam.InstanceId", 400, {"InstanceId": "[]"})
    two = {"InstanceId.1": instance, "InstanceId.2": stopped}
    cloud.refuses("StartTerminalSession", "InstanceIds.ExceedLimit", 403, two)


def test_refuses_what_a_console_cannot_do(cloud):
    instance = {"InstanceId.1": a_running_instance(cloud)}

    for asked in (
        {"PortNumber": 22},
        {"TargetServer": "10.0.0.1"},
        {"CommandLine": "top"},
        {"Username": "app"},
        {"PasswordName": "secret"},
        {"EncryptionOptions.Enabled": "true"},
    ):
        cloud.refuses("StartTerminalSession", "InvalidParameter", 400, {**instance, **asked})
    start(cloud, instance["InstanceId.1"], Username="", CommandLine="")


def test_a_hundred_are_open_at_a_time(cloud):
    instance = a_running_instance(cloud)
    sessions = [start(cloud, instance)["SessionId"] for _ in range(MOST_OPEN)]

    cloud.refuses("StartTerminalSession", "SessionCount.ExceedQuota", 403, {"InstanceId.1": instance})
    cloud.call("EndTerminalSession", SessionId=sessions[0])
    start(cloud, instance)
    cloud.refuses("StartTerminalSession", "SessionCount.ExceedQuota", 403, {"InstanceId.1": instance})
    cloud.clock.now += URL_S
    start(cloud, instance)


def test_a_rehearsal_opens_none(cloud):
    instance = a_running_instance(cloud)

    cloud.refuses("StartTerminalSession", "DryRunOperation", 400, {"InstanceId.1": instance}, DryRun=True)

    assert cloud.call("DescribeTerminalSessions")["Sessions"]["Session"] == []
