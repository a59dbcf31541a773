"""Commands in a running guest, as its users run them: by `kiln instance exec`, and by the official SDK."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_ecs20140526.models import DescribeInvocationResultsRequest, RunCommandRequest
from alibabacloud_tea_openapi.models import Config

from kiln.cli import exits
from kiln.testing.served import start_kiln
from tests.guests import CACHE, build_guest, open_reachable
from tests.waiting import wait_for

pytestmark = [pytest.mark.vm, pytest.mark.sdk]

_LIMIT_S = 300.0
SECRET = "Pass:word-1"
_TOO_SLOW = ("ClientNotResponse", "ClientNotRunning")


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
    with begin(served, *words) as said:
        stdout, stderr = said.communicate()
    assert not check or said.returncode == 0, stderr
    return subprocess.CompletedProcess(said.args, said.returncode, stdout, stderr)


def begin(served, *words):
    """Say words to Kiln, and do not wait."""
    settings = {
        "KILN_ENDPOINT": served.endpoint,
        "KILN_ACCESS_KEY_ID": served.access_key_id,
        "KILN_ACCESS_KEY_SECRET": served.secret,
        "KILN_REGION": served.region,
        "KILN_DATA": str(served.data),
        "KILN_CACHE": str(CACHE.parent),
    }
    command = [sys.executable, "-P", "-m", "kiln.cli.main", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command,
        env=os.environ | settings,
        stdout=pipe,
        stderr=pipe,
        text=True,
        # A shell has what it runs in the background ignore it, and so would whatever that runs.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - it takes no lock.
    )


def test_root_has_the_password_that_was_given(served, web):
    """It is told by its hash, made anew in the guest with the same salt."""
    deadline = time.monotonic() + _LIMIT_S
    while "*" in (kept := within(served, "grep ^root: /etc/shadow").split(":")[1]):
        assert time.monotonic() < deadline, "nobody gives it"
    salt = kept.split("$")[2]
    assert within(served, f"mkpasswd -m sha512 -S {salt} {SECRET}").strip() == kept


def within(served, script):
    """What a script prints in the guest."""
    return in_the_end(served, "exec", "web", "--", "sh", "-c", script).stdout


def in_the_end(served, *words, code=0):
    """Say words that end so, again where the guest's agent took longer than Kiln waits for one: it is a slow guest."""
    deadline = time.monotonic() + _LIMIT_S
    while any(one in (done := say(served, "instance", *words, check=False)).stderr for one in _TOO_SLOW):
        assert time.monotonic() < deadline, done.stderr
    assert done.returncode == code, done.stderr
    return done


def test_exec_ends_as_the_command_does(served, web):
    done = in_the_end(served, "exec", "web", "--", "sh", "-c", "echo 'a  b'; exit 7", code=7)

    assert done.stdout == "a  b\n"


def test_cp_puts_a_file_there(served, web, tmp_path):
    (tmp_path / "it").write_text("hello\n")

    in_the_end(served, "cp", str(tmp_path / "it"), "web:/run/app/it")

    assert in_the_end(served, "exec", "web", "cat", "-u", "/run/app/it").stdout == "hello\n"


def test_ctrl_c_stops_the_command_in_the_guest(served, web):
    with begin(served, "instance", "exec", "web", "--", "sleep", "600") as exec_:
        invoke = wait_for(lambda: open_invocation(served, "Running"), within_s=_LIMIT_S, pause_s=0.5)
        exec_.send_signal(signal.SIGINT)
        _, told = exec_.communicate(timeout=_LIMIT_S)

    assert exec_.returncode == exits.INTERRUPTED.number
    assert f"the command is stopped in the guest ({invoke})" in told
    wait_for(lambda: status_of(served, invoke) == "Stopped", within_s=_LIMIT_S, pause_s=0.5)


def open_invocation(served, status):
    """The ID of the invocation that is so; empty where there is none."""
    told = json.loads(say(served, "call", "DescribeInvocations", f"InvokeStatus={status}").stdout)
    return "".join(one["InvokeId"] for one in told["Invocations"]["Invocation"][:1])


def status_of(served, invoke):
    told = json.loads(say(served, "call", "DescribeInvocations", f"InvokeId={invoke}").stdout)
    return told["Invocations"]["Invocation"][0]["InvocationStatus"]


def test_the_sdk_runs_a_command_that_goes_on_over_a_restart_of_kiln(served, web):
    asked = RunCommandRequest(
        region_id=served.region, type="RunShellScript", command_content="sleep 5; uname -s", instance_id=[web]
    )
    deadline = time.monotonic() + _LIMIT_S
    # One that could not be brought to a slow guest within a minute is given up, and asked for again.
    while (result := over_a_restart(served, asked)).error_code in _TOO_SLOW:
        assert time.monotonic() < deadline, result

    assert (result.invocation_status, result.output, result.exit_code) == ("Success", "Linux\n", 0)


def over_a_restart(served, asked):
    """How a command ended that was asked for before Kiln was started anew."""
    invoke = client(served).run_command(asked).body.invoke_id
    served.stop()
    served.start()
    wanted = DescribeInvocationResultsRequest(region_id=served.region, invoke_id=invoke, content_encoding="PlainText")
    deadline = time.monotonic() + _LIMIT_S
    while True:
        answer = client(served).describe_invocation_results(wanted).body.invocation
        (result,) = answer.invocation_results.invocation_result
        if result.invocation_status not in ("Pending", "Running"):
            return result
        assert time.monotonic() < deadline, result
        time.sleep(0.5)


def test_what_the_page_shows_of_a_program_runs(served, web, capsys):
    page = (Path(__file__).parents[2] / "docs/howto/run-commands-in-guests.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)

    exec(program, {"client": client(served), "region": served.region, "instance": web})

    assert re.fullmatch(r"Success 0 [0-9].*\n\n", capsys.readouterr().out)


def test_the_page_s_look_at_agents_shows_one(served, web):
    told = json.loads(say(served, "call", "DescribeCloudAssistantStatus").stdout)
    (one,) = told["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]

    assert (one["InstanceId"], one["CloudAssistantStatus"]) == (web, "true")


def client(served):
    return EcsClient(
        Config(
            access_key_id=served.access_key_id,
            access_key_secret=served.secret,
            endpoint=served.endpoint.removeprefix("http://"),
            protocol="http",
            read_timeout=300_000,
        )
    )
