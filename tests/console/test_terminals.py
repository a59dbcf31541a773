"""What the page of a terminal gives the browser: a path that does once, or why there is none."""

from __future__ import annotations

import json

from kiln.console.asking import CONTENT_POLICY
from tests.stock import InstanceStatus, an_instance


def token_of(page):
    return next(given["data-token"] for _, given in page.tags if given.get("data-token"))


def test_starts_a_session_and_gives_its_path_alone(window):
    instance = an_instance(window.cloud, status=InstanceStatus.RUNNING).id
    at = f"/instances/{instance}/terminal"
    page = window.get(at)

    answer = window.post(at, {"form_token": token_of(page)})

    path = json.loads(answer.text)["path"]
    assert path.startswith("/session?")
    assert "no-store" in answer.header("cache-control")
    assert path.partition("token=")[2] not in page.text


def test_says_why_there_is_none(window):
    instance = an_instance(window.cloud).id
    at = f"/instances/{instance}/terminal"
    page = window.get(at)

    answer = window.post(at, {"form_token": token_of(page)})

    assert "IncorrectInstanceStatus" in json.loads(answer.text)["why"]
    assert answer.status == 403


def test_is_as_strict_as_any_page(window):
    instance = an_instance(window.cloud).id
    assert window.get(f"/instances/{instance}/terminal").header("content-security-policy") == CONTENT_POLICY
