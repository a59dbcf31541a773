"""What a page says of other clients: each does what the page would do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kiln.client import catalogue
from kiln.console.recipes import by_kiln, by_packer, of_request
from tests.clouds import ACCOUNT, REGION
from tests.stock import a_snapshot
from tests.tools import needs

CREATE = catalogue.load().action("CreateImage")


#: The command line of this checkout, by the name that it has where it is installed.
_KILN = f'kiln() {{ {sys.executable} -P -m kiln.cli.main "$@"; }}\n'


@pytest.fixture
def now(window):
    """A Kiln that has the time of this machine, as programs have it."""
    window.cloud.clock.now = time.time()
    return window


@pytest.mark.sdk
@pytest.mark.parametrize("name", ["kiln", "curl", "Python"])
def test_does_what_the_page_would_do(now, name):
    needs("curl", "openssl")
    snapshot = a_snapshot(now.cloud, source_disk_type="system")
    params = {"SnapshotId": snapshot.id, "ImageName": "网站-1", "Tag": [{"Key": "a b", "Value": 'é&="+'}]}
    (text,) = (one.text for one in of_request(CREATE, params, REGION) if one.name == name)
    command = [sys.executable, "-c", text] if name == "Python" else ["bash", "-euo", "pipefail", "-c", _KILN + text]
    keys = {"ACCESS_KEY_ID": ACCOUNT, "ACCESS_KEY_SECRET": f"secret-{ACCOUNT}"}
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KILN_ENDPOINT": now.endpoint,
        **{f"{whose}_{key}": value for whose in ("KILN", "ALIBABA_CLOUD") for key, value in keys.items()},
    }

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    (image,) = now.cloud.call("DescribeImages", Status="ALL")["Images"]["Image"]
    assert (image["ImageName"], image["Tags"]["Tag"][0]["TagValue"]) == ("网站-1", 'é&="+')
    assert image["ImageId"] in done.stdout


def test_nothing_that_is_quoted_runs_in_a_shell():
    name = "$(touch x)'`id`\"; rm\n"

    text = by_kiln(CREATE, {"ImageName": name})

    printed = subprocess.run(
        ["bash", "-c", f"kiln() {{ printf '%s\\n' \"$@\"; }}; {text}"], capture_output=True, check=True
    )
    assert printed.stdout.decode() == f"call\nCreateImage\nImageName={name}\n"


def test_the_template_for_packer_is_json_of_the_image():
    template = json.loads(by_packer("m-1", REGION))

    assert (template["builders"][0]["source_image"], template["builders"][0]["region"]) == ("m-1", REGION)


def test_what_the_official_sdk_has_no_action_of_its_own_for_is_left_out():
    recipes = of_request(catalogue.load().action("CreateVSwitch"), {"VpcId": "vpc-1"}, REGION)

    assert [one.name for one in recipes] == ["kiln", "curl"]


def test_the_page_shows_them_without_a_secret(window):
    snapshot = a_snapshot(window.cloud, source_disk_type="system")
    fields = {"ImageId": "m-1", "InstanceType": "t", "Password": "Correct-Horse-7"}

    page = window.submit("/images/CreateImage", {"SnapshotId": snapshot.id, "ImageName": "web"})
    refused = window.submit("/instances/RunInstances", fields)

    assert "kiln call CreateImage" in page.words
    assert "Correct-Horse-7" not in refused.text
    assert f"secret-{ACCOUNT}" not in page.text
