"""What every list that comes in pages promises of its pages and tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from kiln.declare.states import InstanceStatus
from kiln.operations import ALL
from kiln.store.instances import instances
from tests.clouds import OTHER, REGION, Cloud
from tests.nets import a_group, a_vpc
from tests.reading import every
from tests.stock import a_disk, a_snapshot, an_instance

#: What makes a row of the list, by the operation that pages with tokens and numbers.
MADE: dict[str, Callable[..., Any]] = {
    "DescribeDisks": lambda cloud, **more: a_disk(cloud, volume=None, **more),
    "DescribeSnapshots": lambda cloud, **more: a_snapshot(cloud, volume=None, **more),
    "DescribeInstances": lambda cloud, **more: an_instance(cloud, system_disk=False, **more),
    "DescribeCommands": lambda cloud, **_: _Made(cloud.call("CreateCommand", _COMMAND, Name="a")["CommandId"]),
    "DescribeInvocations": lambda cloud, **_: _Made(cloud.call("RunCommand", _on_one(cloud) | _COMMAND)["InvokeId"]),
    "DescribeSendFileResults": lambda cloud, **_: _Made(cloud.call("SendFile", _on_one(cloud) | _FILE)["InvokeId"]),
    "DescribeSecurityGroups": lambda cloud, **more: a_group(cloud, a_vpc(cloud), **more),
}
IDS = {
    "DescribeDisks": "DiskId",
    "DescribeSnapshots": "SnapshotId",
    "DescribeInstances": "InstanceId",
    "DescribeCommands": "CommandId",
    "DescribeInvocations": "InvokeId",
    "DescribeSendFileResults": "InvokeId",
    "DescribeSecurityGroups": "SecurityGroupId",
}
#: Whose rows are those of another list, and whose answers have them deeper down, or in pages of ten and more.
ALIKE = {"DescribeInvocationResults", "DescribeCloudAssistantStatus", "DescribeNetworkInterfaces"}
_COMMAND = {"Type": "RunShellScript", "CommandContent": "dHJ1ZQ=="}
_FILE = {"Name": "a", "TargetDir": "/tmp", "Content": "b"}
by_action = pytest.mark.parametrize("action", MADE)


def test_every_list_with_numbers_and_tokens_is_tested_here():
    both = {"page_number", "next_token"}

    assert {one.name for one in ALL if both <= {field.name for field in one.parameters}} == set(MADE) | ALIKE


@dataclass(frozen=True)
class _Made:
    """What an operation made."""

    id: str


def _on_one(cloud: Cloud) -> dict[str, str]:
    running = [row.id for row in every(cloud, instances, status=InstanceStatus.RUNNING)]
    return {"InstanceId.1": running[0] if running else an_instance(cloud, status=InstanceStatus.RUNNING).id}


def test_results_of_invocations_come_in_pages(cloud: Cloud):
    made = [cloud.call("RunCommand", _on_one(cloud) | _COMMAND)["InvokeId"] for _ in range(5)][::-1]

    seen, token = [], ""
    for _ in range(3):
        answer = cloud.call("DescribeInvocationResults", MaxResults=2, NextToken=token)["Invocation"]
        seen += [one["InvokeId"] for one in answer["InvocationResults"]["InvocationResult"]]
        token = answer["NextToken"]

    assert (seen, token) == (made, "")


def fill(cloud: Cloud, action: str, count: int, **more: Any) -> list[str]:
    """IDs of so many rows, the newest first."""
    return [MADE[action](cloud, **more).id for _ in range(count)][::-1]


def ids(action: str, answer: dict) -> list[str]:
    rows = next(iter(next(one for one in answer.values() if isinstance(one, dict)).values()))
    return [row[IDS[action]] for row in rows]


@by_action
def test_page_numbers_go_on_beside_max_results(cloud: Cloud, action):
    made = fill(cloud, action, 25)

    pages = [cloud.call(action, MaxResults=10, PageNumber=n) for n in (1, 2, 3, 4)]

    assert [ids(action, page) for page in pages] == [made[:10], made[10:20], made[20:], []]
    assert [page["PageNumber"] for page in pages] == [1, 2, 3, 4]


@by_action
def test_max_results_counts_beside_page_size(cloud: Cloud, action):
    made = fill(cloud, action, 12)

    answer = cloud.call(action, MaxResults=11, PageSize=2)

    assert (ids(action, answer), answer["PageSize"]) == (made[:11], 11)


@by_action
def test_a_token_goes_on_with_any_size(cloud: Cloud, action):
    made = fill(cloud, action, 9)

    seen, token = [], ""
    for size in (2, 1, 3, 50):
        answer = cloud.call(action, PageSize=size, NextToken=token, PageNumber=1)
        seen, token = seen + ids(action, answer), answer["NextToken"]

    assert (seen, token) == (made, "")


@by_action
def test_a_page_number_beside_a_token_is_refused(cloud: Cloud, action):
    fill(cloud, action, 3)
    token = cloud.call(action, PageSize=1)["NextToken"]

    refused = cloud.refuses(action, "InvalidParameter", 400, NextToken=token, PageNumber=2)

    assert "PageNumber" in str(refused)


@by_action
@pytest.mark.parametrize("size", [0, -1, 101, 10**30, "ten", "1.5"])
def test_a_page_size_out_of_bounds_is_refused(cloud: Cloud, action, size):
    cloud.refuses(action, "InvalidParameter", 400, PageSize=size)


@by_action
@pytest.mark.parametrize("number", [0, -1, 10**7, 10**30])
def test_a_page_number_out_of_bounds_is_refused(cloud: Cloud, action, number):
    cloud.refuses(action, "InvalidParameter", 400, PageNumber=number)


@by_action
def test_a_token_of_another_query_account_or_operation_is_refused(cloud: Cloud, action):
    fill(cloud, action, 3)
    token = cloud.call(action, PageSize=1)["NextToken"]
    others = [other for other in MADE if other != action]

    cloud.refuses(action, "InvalidParameter", 400, {"Tag.1.Key": "a"}, NextToken=token)
    cloud.refuses(action, "InvalidParameter", 400, ResourceGroupId="rg-tests", NextToken=token)
    cloud.refuses(action, "InvalidParameter", 400, account=OTHER, NextToken=token)
    for other in others:
        cloud.refuses(other, "InvalidParameter", 400, NextToken=token)


def sealed_anew(token: str, change: Callable[[list[Any]], Any]) -> str:
    content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return base64.urlsafe_b64encode(json.dumps(change(content)).encode()).decode().rstrip("=")


@by_action
def test_a_token_that_was_changed_is_refused(cloud: Cloud, action):
    fill(cloud, action, 3)
    token = cloud.call(action, PageSize=1)["NextToken"]
    changed = [
        *(token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :] for n in range(0, len(token) - 1, 3)),
        *(token[:n] for n in range(1, len(token), 7)),
        sealed_anew(token, lambda content: [content[0], content[1] - 1, *content[2:]]),
        sealed_anew(token, lambda content: content[:-1]),
        sealed_anew(token, lambda content: [*content, "x"]),
        sealed_anew(token, lambda _: {}),
        sealed_anew(token, lambda _: []),
        "[" * 5000, "nonsense", "W10", "\u4e2d", " ", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ]  # fmt: skip

    for one in changed:
        cloud.refuses(action, "InvalidParameter", 400, NextToken=one)


def test_a_token_that_was_made_up_with_its_seal_breaks_nothing(cloud: Cloud):
    """Whoever reads this program can make one; it must be a place in the list, or be refused."""
    from kiln.operations import paging  # noqa: PLC0415 - what a forger would use.
    from kiln.operations.disks.describe_disks import Input  # noqa: PLC0415

    fill(cloud, "DescribeDisks", 3)
    with cloud.ports.database.read() as tx:
        call = cloud.as_call(tx)
    p = Input(region_id=REGION)
    sound = [1.0, "", 0, "", "d-1"]
    cloud.call("DescribeDisks", NextToken=paging.seal_position(call, p, sound))

    places = [[odd, *sound[1:]] for odd in (1e300, float("nan"), [], {}, None, True, "x", 1)]
    places += [[*sound[:4], odd] for odd in ("\0", "\ud800", 7, [])]
    for place in [*places, [*sound[:2], 2**70, "", ""], [], [{}]]:
        cloud.refuses("DescribeDisks", "InvalidParameter", 400, NextToken=paging.seal_position(call, p, place))
