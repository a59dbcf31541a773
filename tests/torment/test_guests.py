"""Hostile guests: what the section would say of a Kiln that they stop."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kiln.client.transport import Unreachable
from tests.guests import reachable  # noqa: F401 - a fixture.
from tests.tools import needs
from torment.campaign import Campaign, Verdict
from torment.sections import SECTIONS, guests


def a_neighbourhood(answer):
    client = SimpleNamespace(call=lambda action, params=None, **more: answer(action))
    return SimpleNamespace(
        client=client, server=SimpleNamespace(endpoint="http://127.0.0.1:1"), healthy="i-1", hostile=[]
    )


def fails(_):
    raise Unreachable("nobody listens")


def test_notices_an_image_that_does_not_come():
    assert guests._image_comes(a_neighbourhood(fails)).verdict is Verdict.FAILED


def test_notices_an_image_that_comes_late(monkeypatch):
    monkeypatch.setattr(guests, "_HEALTHY_S", 0.0)
    row = {"ImageId": "m-1", "Images": {"Image": [{"Status": "Available"}]}}

    assert guests._image_comes(a_neighbourhood(lambda _: row)).verdict is Verdict.FAILED


def test_notices_a_service_that_does_not_answer():
    assert guests._is_well(a_neighbourhood(fails)).verdict is Verdict.FAILED


def test_notices_a_death_that_is_not_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr(guests, "_NOTICED_S", 0.1)
    monkeypatch.setattr(guests.process, "find", lambda _: 7)
    killed = []
    monkeypatch.setattr(guests.os, "kill", lambda pid, _: killed.append(pid))
    running = {"Instances": {"Instance": [{"Status": "Running"}]}}

    outcome = guests._power_is_cut(a_neighbourhood(lambda _: running), SimpleNamespace(folder=tmp_path))

    assert (outcome.verdict, killed) == (Verdict.FAILED, [7])


@pytest.mark.vm
@pytest.mark.slow
def test_holds_beside_one_of_each_manner(reachable):  # noqa: F811 - the fixture.
    needs("qemu-img", "qemu-system-x86_64")
    told: list[str] = []

    score = Campaign(seed=1, is_short=True, say=told.append).run(SECTIONS["guests"], reachable / "guests", tries=8)

    assert score.is_clean, told
    assert score.tried >= 6
