"""What the page of files gives a browser: for its own two buckets alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kiln.console.app import Console
from tests.clouds import OTHER


def ask(browser, what, **given):
    answer = browser.post(f"/files/{what}", {"form_token": browser.get("/missing").form_token, **given})
    return answer.status, json.loads(answer.text)


@pytest.fixture
def brought(window):
    """An upload of one part that was begun, and nothing of it has come."""
    return ask(window, "begin", name="../a disk.qcow2", size="1000")[1]


def test_an_upload_is_begun_signed_and_found_again(window, brought):
    assert brought["object"].endswith("-.._a_disk.qcow2")
    whose = {"object": brought["object"], "upload": brought["upload"]}

    _, signed = ask(window, "sign", first="1", **whose)

    assert len(signed["paths"]) == 50
    assert signed["paths"]["1"].startswith("/uploads-")
    assert ask(window, "find", **whose) == (200, {"parts": {}})


def test_nobody_goes_on_with_the_upload_of_another(window, brought):
    other = window.other()
    other.sign_in(OTHER)

    status, told = ask(other, "find", object=brought["object"], upload=brought["upload"])

    assert status == 404
    assert told["why"].startswith("NoSuch")


def test_no_bucket_but_the_own_ones_is_read_or_deleted_from(window):
    assert window.get("/files/somebodys/disk.raw").status == 404
    token = {"form_token": window.get("/missing").form_token}
    assert window.post("/files/delete", {**token, "bucket": "somebodys", "name": "disk.raw"}).status == 404


@pytest.mark.parametrize("size", ["much", "-1", "0", "", "1.5", "٣", "9" * 5000, str(2**50 + 1)], ids=lambda s: s[:9])
def test_a_size_that_no_file_has_is_refused_and_nothing_is_begun(window, size):
    status, told = ask(window, "begin", name="a", size=size)

    assert status == 400
    assert told["why"].startswith("size is a whole number from 1 to ")
    assert len(told["why"]) < 200


@pytest.mark.parametrize("first", ["x", "-1", "0", "", "10001", "9" * 5000], ids=lambda s: s[:9])
def test_a_part_that_there_cannot_be_is_refused(window, brought, first):
    whose = {"object": brought["object"], "upload": brought["upload"]}

    assert ask(window, "sign", first=first, **whose)[0] == 400
    assert len(ask(window, "sign", first="10000", **whose)[1]["paths"]) == 1


def test_a_console_of_a_kiln_elsewhere_has_files_pass_through_itself(window, brought):
    elsewhere = window.other()
    elsewhere.console = Console(replace(window.console.place, is_beside=False))
    elsewhere.sign_in()

    _, signed = ask(elsewhere, "sign", first="1", object=brought["object"], upload=brought["upload"])

    assert {path.partition("/uploads-")[0] for path in signed["paths"].values()} == {"/console/through"}
    assert 'id="files-drop"' in elsewhere.get("/files").text
    elsewhere.console.end()
