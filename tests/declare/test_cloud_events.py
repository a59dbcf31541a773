"""The one shape of an event: what the specification asks of each, and what EventBridge says of those that it has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kiln.declare import states
from kiln.declare.cloud_events import PROGRESS_TYPES, STATE_TYPES, cloud_event, own_event, type_of, written
from kiln.store.changes import Change

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "events.md"
WHEN = 1796000000.125
NOUNS = {kind: kind.__name__.removesuffix("Status").lower() for kind in states.MOVES}
STEPS = [
    (noun, old, new)
    for kind, noun in NOUNS.items()
    for old, afters in states.MOVES[kind].items()
    for old, new in [(None, old), (old, None), *((old, after) for after in afters)]
]


def change(noun="image", old="Creating", new="Available", **more):
    given = {"account": "1234567890123456", "region": "cn-kiln-1", "name": "web", **more}
    return Change(noun, f"{noun}-1", old, new, **given)


@pytest.mark.parametrize(("noun", "old", "new"), STEPS)
def test_whatever_can_happen_is_of_a_type_that_is_named(noun, old, new):
    event = cloud_event(change(noun, old, new), "e-1", WHEN)

    assert event["type"] in STATE_TYPES
    assert event["source"] == ("acs.ecs" if event["type"].startswith("ecs:") else "kiln")
    # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#context-attributes
    assert all(re.fullmatch("[a-z0-9]{1,20}", attribute) for attribute in event)
    assert all(isinstance(value, str) and value for name, value in event.items() if name != "data")


def test_every_type_can_happen():
    assert {type_of(*step) for step in STEPS} == set(STATE_TYPES)


@pytest.mark.parametrize("noun", ["image", "snapshot", "task"])
def test_progress_has_types_of_its_own(noun):
    assert type_of(noun, "Creating", "Creating") in PROGRESS_TYPES


def test_a_change_of_an_instance_is_told_as_eventbridge_tells_it():
    event = cloud_event(change("instance", "Running", None), "e-1", WHEN)

    assert (event["source"], event["type"]) == ("acs.ecs", "ecs:Instance:StateChange")
    assert (
        event["data"].items()
        >= {
            "resourceId": "instance-1",
            "resourceType": "ALIYUN::ECS::Instance",
            "state": "Deleted",
        }.items()
    )


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (None, "progressing", "CreateSnapshotInitiated"),
        ("progressing", "accomplished", "CreateSnapshotCompleted"),
        ("progressing", "failed", "CreateSnapshotCompleted"),
        (None, "accomplished", "CreateSnapshotCompleted"),
        ("accomplished", None, "SnapshotDeleted"),
    ],
)
def test_a_snapshots_events_are_those_of_eventbridge(old, new, kind):
    event = cloud_event(change("snapshot", old, new), "e-1", WHEN)

    assert event["type"] == f"ecs:Snapshot:{kind}"
    assert (event["data"]["snapshotId"], event["data"]["snapshotName"]) == ("snapshot-1", "web")
    assert event["data"].get("result") == (new if kind == "CreateSnapshotCompleted" else None)


def test_says_nothing_of_a_region_where_there_is_none():
    assert "aliyunregionid" not in cloud_event(change(region=""), "e-1", WHEN)
    assert "aliyunregionid" not in own_event("kiln:Webhook:Test", "e-1", WHEN, account="1", subject="w", data={})


def test_the_page_shows_what_is_told():
    (shown,) = re.findall(r"```json\n(\{.*?\})\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    said = json.loads(shown)
    id_ = said["data"]["resourceId"]
    row = Change("image", id_, "Creating", "Available", said["aliyunaccountid"], True, said["aliyunregionid"], "web-1")

    assert json.loads(written(cloud_event(row, said["id"], WHEN))) == said


def test_the_page_names_every_type():
    page = PAGE.read_text(encoding="utf-8")

    assert [kind for kind in (*STATE_TYPES, *PROGRESS_TYPES) if f"`{kind}`" not in page] == []
