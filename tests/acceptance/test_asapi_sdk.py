"""Apsara Stack's SDK through its own gateway, in an interpreter of its own (see ``asapi_session.py``)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.sdk

SESSION = Path(__file__).with_name("asapi_session.py")
PYTHON = SESSION.parents[2] / ".venv-asapi" / "bin" / "python"


@pytest.fixture(scope="module")
def told(kiln, instance, snapshot) -> dict[str, Any]:
    """What the session was told."""
    if not PYTHON.exists():
        message = "needs .venv-asapi, which ./kiln setup makes"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    arguments = [f"{kiln.endpoint}/asapi/v3", kiln.access_key_id, kiln.secret, kiln.region, instance, snapshot, "asapi"]
    # The SDK's request classes open a socket to find out their own address, and leave it to the collector.
    done = subprocess.run(
        [PYTHON, "-W", "ignore", SESSION, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("source", "sizes"),
    [
        ("from_instance", ["1", "20"]),
        ("from_snapshot", ["1"]),
        ("from_mappings", ["1", "30"]),
        ("from_nested_mappings", ["1", "50"]),
    ],
)
def test_makes_an_image(told, source, sizes):
    made, described = told[source]["made"], told[source]["described"]

    assert made["ImageId"].startswith("m-")
    assert made["asapiSuccess"] is True
    assert made["asapiRequestId"] == made["RequestId"]
    assert made["eagleEyeTraceId"]
    (image,) = described["Images"]["Image"]
    assert (image["Status"], image["Progress"]) == ("Available", "100%")
    assert [disk["Size"] for disk in image["DiskDeviceMappings"]["DiskDeviceMapping"]] == sizes


def test_takes_tags_in_both_forms(told):
    flat, nested = (tags_of(told[source]["described"]) for source in ("from_instance", "from_snapshot"))

    assert flat == {"KeyTest": "ValueTest"}
    assert nested == {"a": "b", "c": ""}


def test_takes_text_as_it_was_given(told):
    (image,) = told["from_instance"]["described"]["Images"]["Image"]

    assert image["Description"] == "中文 a&b=c*~"


def test_answers_the_same_to_the_same_token(told):
    assert told["replayed"]["ImageId"] == told["from_instance"]["made"]["ImageId"]


def test_a_failure_says_so_in_asapis_members_and_ecss(told):
    refused = told["twice"]

    assert refused["asapiSuccess"] is False
    assert refused["asapiErrorCode"] == refused["Code"] == "InvalidImageName.Duplicated"
    assert refused["asapiErrorMessage"] == refused["Message"]
    assert refused["RequestId"]


def test_a_stranger_is_refused(told):
    assert (told["stranger"]["asapiSuccess"], told["stranger"]["Code"]) == (False, "SignatureDoesNotMatch")


@pytest.mark.parametrize("way", ["by_get", "by_form", "without_the_path", "by_header"])
def test_takes_every_way_of_asking(told, way):
    (image,) = told[way]["Images"]["Image"]

    assert image["ImageName"] == "asapi-snapshot"


def test_takes_mappings_in_the_query(told):
    assert told["mapped_in_query"]["Code"] == "DryRunOperation"


def test_takes_an_older_algorithm(told):
    assert told["by_sha1"]["Regions"]["Region"]


def test_puts_on_tags_and_lists_them(told):
    assert told["tagged"]["asapiSuccess"] is True
    found = {tag["TagKey"]: tag["TagValue"] for tag in told["tags"]["TagResources"]["TagResource"]}
    assert found == {"a": "b", "c": "", "more": "x"}


def test_deletes_what_it_made(told):
    assert [answer["asapiSuccess"] for answer in told["deleted"]] == [True] * 4
    assert told["left"]["TotalCount"] == 0


def tags_of(described: dict[str, Any]) -> dict[str, str]:
    """The tags of the one image that was described."""
    (image,) = described["Images"]["Image"]
    return {tag["TagKey"]: tag["TagValue"] for tag in image["Tags"]["Tag"]}
