"""Commands in a running guest, as its users run them: by `kiln instance exec`, and by the official SDK."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_ecs20140526.models import DescribeInvocationResultsRequest, RunCommandRequest
from alibabacloud_tea_openapi.models import Config

from kiln.testing.served import start_kiln
from tests.guests import CACHE, build_guest, open_reachable

pytestmark = [pytest.mark.vm, pytest.mark.sdk, pytest.mark.timeout(900)]

_LIMIT_S = 300.0
SECRET = "Pass:word-1"


@pytest.fixture(scope="module")
def served():
    """A Kiln with machines, all of which are stopped in the end."""
    with open_reachable() as folder:
        build_guest(folder / "guest.qcow2")
        with start_kiln(folder / "data", machines="qemu", accel="tcg") as kiln:
            try:
                yield kiln
            finally:
                say(kiln, "instance", "stop", "web", "--force")


@pytest.fixture(scope="module")
def web(served):
    """The ID of a running instance that is called web."""
    image = say(served, "image", "import", "--sample").stdout.strip()
    given = ("--image", image, "--name", "web", "--no-public-ip", "--password", SECRET)
    made = say(served, "instance", "run", *given).stdout.strip()
    deadline = time.monotonic() + _LIMIT_S
    while say(served, "instance", "exec", "web", "--", "true", check=False).returncode:
        assert time.monotonic() < deadline, "no command runs in the guest"
    return made


def say(served, *words, check=True):
    """Say words to Kiln."""
    settings = {
        "KILN_ENDPOINT": served.endpoint,
        "KILN_ACCESS_KEY_ID": served.access_key_id,
        "KILN_ACCESS_KEY_SECRET": served.secret,
        "KILN_REGION": served.region,
        "KILN_DATA": str(served.data),
        "KILN_CACHE": str(CACHE.parent),
    }
    command = [sys.executable, "-P", "-m", "kiln.cli.main", *words]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def test_root_has_the_password_that_was_given(served, web):
    """It is told by its hash, made anew in the guest with the same salt."""
    deadline = time.monotonic() + _LIMIT_S
    while "*" in (kept := within(served, "grep ^root: /etc/shadow").split(":")[1]):
        assert time.monotonic() < deadline, "nobody gives it"
    salt = kept.split("$")[2]
    assert within(served, f"mkpasswd -m sha512 -S {salt} {SECRET}").strip() == kept


def within(served, script):
    """What a script prints in the guest."""
    return say(served, "instance", "exec", "web", "--", "sh", "-c", script).stdout


def test_exec_ends_as_the_command_does(served, web):
    done = say(served, "instance", "exec", "web", "--", "sh", "-c", "echo 'a  b'; exit 7", check=False)

    assert (done.returncode, done.stdout) == (7, "a  b\n"), done.stderr


def test_cp_puts_a_file_there(served, web, tmp_path):
    (tmp_path / "it").write_text("hello\n")

    say(served, "instance", "cp", str(tmp_path / "it"), "web:/run/app/it")

    assert say(served, "instance", "exec", "web", "--", "cat", "/run/app/it").stdout == "hello\n"


def test_the_sdk_runs_a_command_that_goes_on_over_a_restart_of_kiln(served, web):
    asked = RunCommandRequest(
        region_id=served.region, type="RunShellScript", command_content="sleep 5; uname -s", instance_id=[web]
    )
    invoke = client(served).run_command(asked).body.invoke_id
    served.stop()
    served.start()

    wanted = DescribeInvocationResultsRequest(region_id=served.region, invoke_id=invoke, content_encoding="PlainText")
    deadline = time.monotonic() + _LIMIT_S
    while True:
        answer = client(served).describe_invocation_results(wanted).body.invocation
        (result,) = answer.invocation_results.invocation_result
        if result.invocation_status not in ("Pending", "Running"):
            break
        assert time.monotonic() < deadline, result
        time.sleep(0.5)

    assert (result.invocation_status, result.output, result.exit_code) == ("Success", "Linux\n", 0)


def client(served):
    return EcsClient(
        Config(
            access_key_id=served.access_key_id,
            access_key_secret=served.secret,
            endpoint=served.endpoint.removeprefix("http://"),
            protocol="http",
        )
    )
