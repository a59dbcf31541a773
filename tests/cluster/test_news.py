"""What one process changes is known to all of them."""

from __future__ import annotations

import threading

import pytest

from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


def test_who_listens_at_one_door_hears_what_was_asked_at_another_and_done_by_a_third(deployed):
    one, two = deployed.start("api-1", "api"), deployed.start("api-2", "api")
    deployed.start("worker", "worker")
    client = deployed.client(two)
    feed, events = client.feed(), []
    listener = threading.Thread(target=lambda: events.extend(collect(feed, "Available")))
    listener.start()
    try:
        asked = deployed.caller(one)
        disk = asked.ask("CreateDisk", ZoneId=f"{one.region}-a", Size=20, DiskCategory="cloud_essd")["DiskId"]
        listener.join(300)
        assert not listener.is_alive()
    finally:
        feed.close()
        listener.join()

    assert [(event["data"]["resourceId"], event["data"]["state"]) for event in events][-1] == (disk, "Available")


def collect(feed, last):
    for heard in feed:
        if heard.event is not None:
            yield heard.event
            if heard.event["data"]["state"] == last:
                return


def test_records_follow_what_other_processes_change(deployed):
    """One process writes them, whoever it was that changed something."""
    api = deployed.start("api", "api")
    for host in ("one", "two"):
        deployed.start(host, "worker")
    disk = deployed.caller(api).ask("CreateDisk", ZoneId=f"{api.region}-a", Size=20, DiskCategory="cloud_essd")[
        "DiskId"
    ]

    records = deployed.shared / "pool" / ".kiln" / "records"
    wait_for(lambda: records.exists() and f'"{disk}"' in records.read_text(errors="replace"))
