"""What an event of the log is about, beside what it says itself."""

from __future__ import annotations

import threading

import pytest

from kiln.ground.journal import FACTS, Journal, about, carrying
from kiln.ground.killpoints import reach

log = Journal("kiln.tests")


@pytest.fixture
def said(caplog):
    """The facts of what was logged, in order."""
    caplog.set_level("DEBUG", logger="kiln.tests")

    def facts():
        return [getattr(record, FACTS) for record in caplog.records]

    return facts


def test_has_what_its_thread_is_about_while_that_lasts(said):
    with about(request_id="r-1", action="CreateImage"):
        log.info("one", code="x")
        log.debug("two", action="its own")
    log.warning("three")

    assert said() == [
        {"request_id": "r-1", "action": "CreateImage", "code": "x"},
        {"request_id": "r-1", "action": "its own"},
        {},
    ]


def test_has_the_step_of_a_task_which_is_not_that_of_the_database(said):
    with about(task="t-1"):
        reach("capture.frozen")
        reach("database.committed")
        try:
            1 / 0  # noqa: B018 - it raises.
        except ZeroDivisionError:
            log.exception("broke")

    assert said() == [{"task": "t-1", "step": "capture.frozen"}]


def test_another_thread_carries_out_what_is_about_the_same(said):
    with about(task="t-1"):
        reach("capture.begun")
        work = carrying(lambda: log.info("done"))
        reach("capture.frozen")

    def lead():
        reach("another.step")
        with about(request_id="of another"):
            work()
            log.info("own")

    thread = threading.Thread(target=lead)
    thread.start()
    thread.join()

    assert said() == [{"task": "t-1", "step": "capture.begun"}, {"request_id": "of another"}]
