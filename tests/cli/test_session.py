"""The command line against a served Kiln: a process of its own, real disks, machines that are only states."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import functools
import http.server
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from tests.stock import ED25519
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

SIZE = 64 * 1024 * 1024


class Shell:
    """A shell in which ``eval "$(kiln env)"`` was run."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.runner = CliRunner(env=environment)

    def run(self, *words: str, code: exits.Exit = exits.DONE) -> str:
        """What a word prints on standard output; it must end with *code*."""
        result = self.runner.invoke(app, list(words))
        assert result.exit_code == code.number, result.stderr or result.exception
        return result.stdout.strip()

    def refuses(self, *words: str) -> str:
        """What a refused word says on standard error."""
        result = self.runner.invoke(app, list(words))
        assert result.exit_code == exits.REFUSED.number, result.output
        return result.stderr

    def rows(self, *words: str) -> list[dict]:
        return json.loads(self.run(*words, "--json"))


def exported(text: str) -> dict[str, str]:
    """The variables that lines of ``export NAME=VALUE`` set."""
    pairs = (line.removeprefix("export ").partition("=") for line in text.splitlines())
    return {name: value.strip("'") for name, _, value in pairs}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("kiln") / "data"


@pytest.fixture(scope="module")
def served(data) -> Iterator[str]:
    """The address of a Kiln that is served from the data folder."""
    needs("qemu-img")
    words = ("serve", "--data", str(data), "--listen", "127.0.0.1:0", "--machines", "none")
    with subprocess.Popen(
        [sys.executable, "-m", "kiln.cli.main", *words], stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("listening on "):
                break
        assert said, "it ended without a word"
        assert said[-1].startswith("listening on "), said
        yield said[-1].removeprefix("listening on ").strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0


@pytest.fixture(scope="module")
def shell(served, data) -> Shell:
    settings = exported(CliRunner().invoke(app, ["env", "--data", str(data)]).stdout)
    assert settings["KILN_ENDPOINT"] == served
    return Shell(settings)


@pytest.fixture(scope="module")
def image(shell, tmp_path_factory) -> str:
    """An image that was imported from a file."""
    file = tmp_path_factory.mktemp("files") / "base.raw"
    file.write_bytes(b"base" + bytes(SIZE - 4))
    return shell.run("image", "import", str(file), "--name", "base", "--platform", "Debian")


@pytest.fixture
def instance(shell, image) -> Iterator[str]:
    made = shell.run("instance", "run", "--image", image, "--name", "web")
    yield made
    shell.run("instance", "delete", made, "--force")


def test_shows_why_an_import_failed(shell, data):
    (data / "buckets" / "b").mkdir(parents=True, exist_ok=True)
    (data / "buckets" / "b" / "bad.qcow2").write_bytes(b"QFI\xfb" + bytes(600))
    mapping = ("DiskDeviceMapping.1.OSSBucket=b", "DiskDeviceMapping.1.OSSObject=bad.qcow2")
    made = json.loads(shell.run("call", "ImportImage", "ImageName=bad", *mapping))
    image, task = made["ImageId"], made["TaskId"]
    wait_for(lambda: json.loads(shell.run("image", "show", image, "--json"))["Status"] == "CreateFailed")

    (reason,) = json.loads(shell.run("image", "show", image, "--json"))["Reasons"]["Reason"]

    assert (reason["Action"], reason["State"], reason["TaskId"]) == ("ImportImage", "Failed", task)
    for noun, resource in (("image", image), ("task", task)):
        shown = shell.run(noun, "show", resource)
        assert "Reasons" in shown
        assert reason["Message"][:20] in shown
        assert " ".join(reason["Hint"].split())[:20] in " ".join(shown.split())
    assert "there is no snapshot" in shell.refuses("snapshot", "show", "s-00000000000000000000")


def test_imports_a_file_and_leaves_no_upload(shell, image, data):
    (row,) = shell.rows("image", "list", "--name", "base")

    assert (row["ImageId"], row["Status"], row["Platform"]) == (image, "Available", "Debian")
    assert list(next((data / "buckets").glob("uploads-*")).iterdir()) == []


def test_shows_an_image(shell, image):
    printed = shell.run("image", "show", image)

    assert image in printed
    assert "ImageName" in printed


def test_creates_an_image_of_a_running_instance(shell, instance):
    made = shell.run("image", "create", "--instance", instance, "--name", "web-1", "--tag", "use=test")

    found = json.loads(shell.run("image", "show", made, "--json"))
    assert (found["Status"], found["ImageName"]) == ("Available", "web-1")
    assert found["Tags"]["Tag"] == [{"TagKey": "use", "TagValue": "test"}]
    shell.run("image", "delete", made, "--with-snapshots")
    assert shell.rows("snapshot", "list", "--instance", instance) == []


def test_copies_an_image_and_a_snapshot_to_another_region(shell, instance):
    image = shell.run("image", "create", "--instance", instance)
    copy = shell.run("image", "copy", image, "--to", "cn-hangzhou", "--name", "web-far")
    (disk,) = json.loads(shell.run("image", "show", image, "--json"))["DiskDeviceMappings"]["DiskDeviceMapping"]
    other = shell.run("snapshot", "copy", disk["SnapshotId"], "--to", "cn-hangzhou")

    (row,) = shell.rows("image", "list", "--region", "cn-hangzhou")
    assert (row["ImageId"], row["ImageName"], row["Status"]) == (copy, "web-far", "Available")
    far = "is in cn-hangzhou: `--region cn-hangzhou` looks there."
    # By the error of an action, of several one by one, by a name, and by what a list does not show.
    assert f"({copy} {far})" in shell.refuses("instance", "run", "--image", copy)
    assert f"({copy} {far})" in shell.refuses("image", "delete", copy)
    assert f"(web-far {far})" in shell.refuses("instance", "run", "--image", "web-far")
    assert f"({copy} {far})" in shell.refuses("image", "show", copy)
    shell.run("launch-template", "create", "far", "--image", copy, "--region", "cn-hangzhou")
    assert f"(far {far})" in shell.refuses("instance", "run", "--template", "far")
    shell.run("launch-template", "delete", "far", "--region", "cn-hangzhou")
    said = shell.refuses("image", "cancel-copy", copy, "--region", "cn-hangzhou")
    assert "The image copy has completed." in said
    shell.run("image", "delete", image, "--with-snapshots")
    assert "there is no image" in shell.refuses("image", "copy", "no-such-image")

    shell.run("image", "delete", "web-far", "--with-snapshots", "--region", "cn-hangzhou")
    shell.run("snapshot", "delete", other, "--region", "cn-hangzhou")
    assert shell.rows("snapshot", "list", "--region", "cn-hangzhou") == []


def test_shares_an_image_with_another_account(shell, instance, data):
    image = shell.run("image", "create", "--instance", instance)
    receiver = json.loads(shell.run("account", "add", "receiver", "--data", str(data), "--json"))["Account"]

    shell.run("image", "share", image, receiver)

    (row,) = shell.rows("image", "shares", image)
    assert row["AliyunId"] == receiver
    assert "ImageUseShared" in shell.refuses("image", "delete", image)
    assert "InvalidAccount.NotFound" in shell.refuses("image", "share", image, "1000000000000009")
    shell.run("image", "unshare", image, receiver)
    assert shell.rows("image", "shares", image) == []
    shell.run("image", "delete", image, "--with-snapshots")


def test_says_why_a_name_is_refused(shell, instance, image):
    said = shell.refuses("image", "create", "--instance", instance, "--name", "base")

    assert "InvalidImageName.Duplicated" in said
    assert "RequestId" in said


def test_tries_a_request_without_doing_it(shell, instance):
    shell.run("image", "create", "--instance", instance, "--name", "web-2", "--dry-run")

    assert shell.rows("image", "list", "--name", "web-2") == []


def test_stops_starts_and_reboots_an_instance(shell, instance):
    states = []
    for word in ("stop", "start", "reboot"):
        shell.run("instance", word, instance)
        states.append(shell.rows("instance", "list")[0]["Status"])

    assert states == ["Stopped", "Running", "Running"]


def test_modifies_an_instance(shell, instance, tmp_path):
    data = tmp_path / "data"
    data.write_text("#!/bin/sh\ntrue\n")

    shell.run("instance", "modify", instance, "--name", "other", "--password", "An0ther-one")
    shell.run("instance", "stop", instance)
    shell.run("instance", "modify", instance, "--user-data", str(data))

    (row,) = shell.rows("instance", "list", "--name", "other")
    assert row["InstanceId"] == instance
    told = json.loads(shell.run("call", "DescribeUserData", f"InstanceId={instance}"))
    assert base64.b64decode(told["UserData"]) == data.read_bytes()


def test_resizes_an_instance(shell, instance):
    shell.run("instance", "stop", instance)

    shell.run("instance", "resize", instance, "--type", "ecs.g6.large")

    assert shell.rows("instance", "list")[0]["InstanceType"] == "ecs.g6.large"


def test_replaces_a_system_disk(shell, instance, image):
    shell.run("instance", "stop", instance)

    made = shell.run("instance", "replace-system-disk", instance, "--image", image)

    (disk,) = shell.rows("disk", "list", "--instance", instance)
    assert disk["DiskId"] == made


def test_leads_a_disk_through_its_life(shell, instance):
    disk = shell.run("disk", "create", "--size", "20", "--name", "data-1")
    shell.run("disk", "attach", disk, instance)
    snapshot = shell.run("snapshot", "create", disk, "--name", "before")
    shell.run("disk", "detach", disk, instance)
    shell.run("disk", "resize", disk, "30")

    (row,) = [row for row in shell.rows("disk", "list") if row["DiskId"] == disk]
    assert (row["Status"], row["Size"]) == ("Available", 30)
    assert [row["Status"] for row in shell.rows("snapshot", "list", "--disk", disk)] == ["accomplished"]
    shell.run("snapshot", "delete", snapshot)
    shell.run("disk", "delete", disk)
    assert disk not in [row["DiskId"] for row in shell.rows("disk", "list")]


def test_exports_an_image_to_a_file(shell, image, tmp_path):
    target = tmp_path / "out.raw"

    printed = shell.run("image", "export", image, "--output", str(target))

    assert printed == str(target)
    assert target.stat().st_size >= SIZE
    with target.open("rb") as file:
        assert file.read(8) == b"base\0\0\0\0"
    assert shell.rows("task", "list")[0]["TaskAction"] == "ExportImage"


def test_names_the_file_of_an_export_into_a_folder(shell, image, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()

    printed = shell.run("image", "export", image, "--output", str(folder))

    assert [str(file) for file in folder.iterdir()] == [printed]


def test_says_why_an_import_failed(shell, tmp_path, data):
    file = tmp_path / "broken.qcow2"
    file.write_bytes(b"QFI\xfb" + bytes(100))

    result = shell.runner.invoke(app, ["image", "import", str(file)])

    assert result.exit_code == exits.FAILED_LATER.number
    assert "InvalidImageFormat.Malformed" in result.stderr
    assert list(next((data / "buckets").glob("uploads-*")).iterdir()) == []


def test_a_failed_import_says_what_keeps_its_name(shell, tmp_path):
    file = tmp_path / "cut.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", file, "1G"], check=True)
    os.truncate(file, 70_000)

    result = shell.runner.invoke(app, ["image", "import", str(file), "--name", "again"])

    assert result.exit_code == exits.FAILED_LATER.number, result.output
    (failed,) = shell.rows("image", "list", "--name", "again")
    assert f"`kiln image delete {failed['ImageId']}`" in result.stderr
    shell.run("image", "delete", failed["ImageId"])
    assert shell.rows("image", "list", "--name", "again") == []


def test_a_page_of_text_named_as_a_disk_becomes_no_image(shell, tmp_path):
    (file := tmp_path / "download.qcow2").write_text("<html>404 Not Found</html>\n" * 100)

    said = shell.runner.invoke(app, ["image", "import", str(file), "--name", "page"])

    assert said.exit_code == exits.FAILED_LATER.number
    assert "said to be QCOW2, but its bytes are RAW" in said.stderr


def test_does_each_of_several_and_says_which_failed(shell, image):
    one, other = (shell.run("instance", "run", "--image", image) for _ in range(2))
    shell.run("instance", "stop", one, other)

    result = shell.runner.invoke(app, ["instance", "start", one, "i-nope", other])

    assert result.exit_code == exits.REFUSED.number
    assert "kiln: i-nope: there is no instance 'i-nope'" in result.stderr
    assert {row["Status"] for row in shell.rows("instance", "list") if row["InstanceId"] in (one, other)} == {"Running"}
    shell.run("instance", "delete", one, other, "--force")


def test_deletes_the_images_that_there_are(shell, instance):
    made = shell.run("image", "create", "--instance", instance)

    result = shell.runner.invoke(app, ["image", "delete", "m-nope", made])

    assert result.exit_code == exits.REFUSED.number
    assert "kiln: m-nope: there is no image 'm-nope'" in result.stderr
    assert made not in [row["ImageId"] for row in shell.rows("image", "list")]


def test_says_that_a_secret_is_wrong(shell):
    wrong = CliRunner(env={**shell.runner.env, "KILN_ACCESS_KEY_SECRET": "x"})

    result = wrong.invoke(app, ["image", "list"])

    assert result.exit_code == exits.REFUSED.number
    assert "the secret in KILN_ACCESS_KEY_SECRET is not that of KILN_ACCESS_KEY_ID" in result.stderr
    assert "string" not in result.stderr


def test_takes_a_name_or_the_beginning_of_an_id_for_an_id(shell, image, instance):
    (disk,) = shell.rows("disk", "list", "--instance", "web")

    assert json.loads(shell.run("image", "show", "base", "--json"))["ImageId"] == image
    assert json.loads(shell.run("image", "show", image[:12], "--json"))["ImageId"] == image
    assert disk["InstanceId"] == instance
    snapshot = shell.run("snapshot", "create", disk["DiskId"][:12], "--name", "of-a-beginning")
    made = shell.run("image", "create", "--disk", "snapshot=of-a-beginning,type=system", "--platform", "Debian")
    shell.run("image", "delete", made)
    shell.run("snapshot", "delete", snapshot[:12])


def test_names_what_an_ambiguous_name_could_mean(shell, instance, image):
    other = shell.run("instance", "run", "--image", image, "--name", "web")

    said = shell.refuses("instance", "stop", "web")

    assert f"{instance}  web" in said
    assert f"{other}  web" in said
    assert {row["Status"] for row in shell.rows("instance", "list", "--name", "web")} == {"Running"}
    shell.run("instance", "delete", other, "--force")


def test_names_what_is_alike_where_nothing_has_the_name(shell, image):
    said = shell.refuses("image", "delete", "bas")

    assert f"Alike: base ({image})" in said


def test_an_empty_name_is_nobodys(shell, image, instance):
    """Not even that of an image without a name: an empty variable of a script deleted it."""
    nameless = shell.run("image", "create", "--instance", instance)

    assert "there is no image ''" in shell.refuses("image", "delete", "")
    assert {image, nameless} <= {row["ImageId"] for row in shell.rows("image", "list")}
    shell.run("image", "delete", nameless)


def test_no_star_names_anything(shell, image):
    assert "there is no image 'b*'" in shell.refuses("image", "delete", "b*")


def test_makes_an_image_with_all_that_can_be_said(shell, instance):
    made = shell.run(
        "image", "create", "--instance", "web", "--version", "3", "--imds-support", "V2", "--nvme-support", "supported",
        "--tag", "use=test", "--tag", "alone", "--description", "made in a test",
    )  # fmt: skip

    found = json.loads(shell.run("image", "show", made, "--json"))
    assert (found["ImageVersion"], found["Description"]) == ("3", "made in a test")
    assert (found["Features"]["ImdsSupport"], found["Features"]["NvmeSupport"]) == ("v2", "supported")
    assert {tag["TagKey"]: tag["TagValue"] for tag in found["Tags"]["Tag"]} == {"use": "test", "alone": ""}
    shell.run("image", "delete", made, "--with-snapshots")


def test_follows_no_image_that_is_not_there(shell):
    assert "there is no image" in shell.refuses("image", "show", "m-no-such-image")


def test_shows_a_console(shell, instance):
    assert shell.run("instance", "console", instance) != ""


def on_a_terminal(shell: Shell, *words: str, columns: int = 80) -> list[str]:
    """The lines that a word prints on a terminal so wide, without its colours."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "TERM")}
    environment = {**kept, **shell.runner.env, "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-m", "kiln.cli.main", *words], stdout=its, env=environment) as process:
        os.close(its)
        printed = b""
        with contextlib.suppress(OSError):  # How a terminal says that nobody writes to it any more.
            while block := os.read(ours, 65536):
                printed += block
        os.close(ours)
        assert process.wait() == 0
    assert b"\x1b[1m" in printed
    return re.sub(r"\x1b\[[0-9]*m", "", printed.decode()).splitlines()


def test_a_table_fits_its_terminal_and_cuts_no_id_address_or_time(shell, instance):
    whole = shell.run("instance", "list", "--columns", "instance,public-ip,image,created").splitlines()[1].split()

    titles, row, *more = on_a_terminal(shell, "instance", "list")

    assert max(map(len, (titles, row, *more))) <= 80
    assert row.split()[0] == instance
    assert "PUBLIC IP" in titles
    assert "CREATED" not in titles
    assert {word for word in row.split() if word[0].isdigit() or "-" in word} <= set(whole)
    assert "--columns INSTANCE," in " ".join(more)
    assert "CREATED" in " ".join(more)


def test_a_wide_terminal_shows_every_column(shell, instance):
    titles, row, *more = on_a_terminal(shell, "instance", "list", columns=200)

    assert titles.split()[-1] == "CREATED"
    assert row.split()[0] == instance
    assert more == []


def test_a_table_is_whole_where_nobody_looks(shell, instance):
    lines = shell.run("instance", "list").splitlines()

    assert max(map(len, lines)) > 80
    assert "…" not in lines[1]


def test_prints_ids_for_other_words_to_take(shell, instance):
    assert instance in shell.run("instance", "list", "--quiet").splitlines()
    assert shell.run("instance", "list", "--name", "nobody", "-q") == ""


def test_prints_the_columns_that_are_wanted(shell, instance):
    lines = shell.run("instance", "list", "--name", "web", "--columns", "name,OSType").splitlines()

    assert lines[0].split() == ["NAME", "OSType"]
    assert lines[1].split() == ["web", "linux"]


def test_calls_any_action(shell):
    answer = json.loads(shell.run("call", "DescribeImages", "Status=ALL", "PageSize=1"))

    assert answer["PageSize"] == 1


def test_lists_more_than_a_page(shell, image):
    params = [
        "Tag.1.Key=page",
        "SnapshotId="
        + json.loads(shell.run("image", "show", image, "--json"))["DiskDeviceMappings"]["DiskDeviceMapping"][0][
            "SnapshotId"
        ],
    ]
    made = [json.loads(shell.run("call", "CreateImage", *params))["ImageId"] for _ in range(101)]

    listed = {row["ImageId"] for row in shell.rows("image", "list")}

    assert set(made) <= listed
    shell.run("image", "delete", *made)


def test_refuses_a_second_service_in_one_data_folder(served, data):
    result = CliRunner().invoke(app, ["serve", "--data", str(data), "--listen", "127.0.0.1:0", "--machines", "none"])

    assert result.exit_code == exits.SETTINGS.number
    assert "another Kiln works in" in result.stderr


def test_says_when_a_port_is_taken(served, tmp_path):
    address = served.removeprefix("http://")

    result = CliRunner().invoke(app, ["serve", "--data", str(tmp_path / "other"), "--listen", address])

    assert result.exit_code == exits.SETTINGS.number
    assert "in use" in result.stderr


def test_refuses_wrong_keys(served):
    shell = Shell({"KILN_ENDPOINT": served, "KILN_ACCESS_KEY_ID": "nobody", "KILN_ACCESS_KEY_SECRET": "x"})

    assert "InvalidAccessKeyId.NotFound" in shell.refuses("image", "list", "--region", "cn-qingdao-env17-d01")


def begun(shell: Shell, *words: str) -> subprocess.Popen[str]:
    """A word in a process of its own, whose terminal can be used as by a person."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    return subprocess.Popen(
        [sys.executable, "-m", "kiln.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, **shell.runner.env},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - it takes no lock.
    )


def test_prints_the_id_before_it_waits(shell, instance):
    with begun(shell, "wait", instance, "--until", "Stopped") as waits:
        assert waits.stderr.readline().startswith(f"{instance}  Running")
        waits.send_signal(signal.SIGINT)
        told = waits.stderr.read()
        assert waits.wait(300) == exits.INTERRUPTED.number

    assert f"no longer waiting for instance {instance}" in told
    assert f"`kiln wait {instance} --until Stopped` waits again" in told


def test_says_what_goes_on_when_the_time_is_over(shell, instance):
    result = shell.runner.invoke(app, ["wait", instance, "--gone", "--timeout", "0"])

    assert result.exit_code == exits.TOO_LONG.number
    assert f"The service goes on with it: `kiln wait {instance} --gone` waits again." in result.stderr


def test_waits_for_what_its_id_says_and_for_what_is_named(shell, instance, image):
    assert shell.run("wait", instance, image) == ""
    assert shell.run("wait", "web", "--noun", "instance") == ""
    assert "there is no instance 'i-0000000000000000'" in shell.refuses("wait", "i-0000000000000000")


@pytest.mark.parametrize("words", [("web",), ("web", "--noun", "cow"), ("m-1", "--gone", "--until", "Available")])
def test_refuses_a_wait_that_it_does_not_understand(shell, words):
    assert shell.runner.invoke(app, ["wait", *words]).exit_code == exits.USAGE.number


def test_prints_the_id_of_an_image_that_then_fails(shell, tmp_path):
    file = tmp_path / "broken.qcow2"
    file.write_bytes(b"QFI\xfb" + bytes(100))

    result = shell.runner.invoke(app, ["image", "import", str(file), "--name", "will-fail"])

    assert result.exit_code == exits.FAILED_LATER.number
    (failed,) = shell.rows("image", "list", "--name", "will-fail")
    assert result.stdout.strip() == failed["ImageId"]
    shell.run("image", "delete", failed["ImageId"])


@pytest.fixture
def site(tmp_path_factory) -> Iterator[str]:
    """The address of a web server that has one disk, ``disk.qcow2``."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", folder / "disk.qcow2", "8M"], check=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_imports_from_a_url_and_leaves_no_upload(shell, site, data):
    made = shell.run("image", "import", "--url", f"{site}/disk.qcow2?name=1", "--name", "of-a-url")

    (row,) = shell.rows("image", "list", "--name", "of-a-url")
    assert (row["ImageId"], row["Status"]) == (made, "Available")
    assert list(next((data / "buckets").glob("uploads-*")).iterdir()) == []
    shell.run("image", "delete", "of-a-url")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--url", "/nowhere.qcow2"), exits.UNREACHABLE),
        (("--url", "/disk.qcow2", "--digest", "0" * 64), exits.UNSOUND),
    ],
)
def test_a_fetch_that_fails_leaves_no_upload(shell, site, data, words, code):
    option, path, *more = words

    shell.run("image", "import", option, site + path, *more, code=code)

    assert [list(bucket.iterdir()) for bucket in (data / "buckets").glob("uploads-*")] in ([], [[]])


@pytest.mark.parametrize(
    "words",
    [("--url", "http://h/x", "--sample"), ("file", "--sample"), ("--bucket", "b"), ("--digest", "0" * 64, "--sample")],
    ids=" ".join,
)
def test_imports_of_one_source(shell, words):
    assert shell.runner.invoke(app, ["image", "import", *words]).exit_code == exits.USAGE.number


def test_completes_names_and_ids_that_there_are(shell, image):
    asked = {"_KILN_COMPLETE": "complete_bash", "COMP_WORDS": "kiln image show bas", "COMP_CWORD": "3"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}

    done = subprocess.run(
        [sys.executable, "-m", "kiln.cli.main"],
        capture_output=True,
        text=True,
        check=True,
        env={**kept, **shell.runner.env, **asked},
    )

    assert "base" in done.stdout.split()


def test_puts_tags_on_and_takes_them_off(shell, image, instance):
    shell.run("tag", "add", image, "--tag", "use=test", "--tag", "team=web")
    shell.run("tag", "add", "web", "--type", "instance", "--tag", "use=live")

    assert shell.run("tag", "list", "--resource", image, "--columns", "key,value").splitlines()[1:] in (
        ["team  web", "use   test"],
        ["use   test", "team  web"],
    )
    assert [row["ResourceId"] for row in shell.rows("tag", "list", "--type", "instance", "--tag", "use")] == [instance]
    shell.run("tag", "remove", "base", "--type", "image", "--key", "use")
    shell.run("tag", "remove", image, "--all")
    assert shell.rows("tag", "list", "--resource", image) == []


@pytest.mark.parametrize(
    "words",
    [("add", "web", "--tag", "a=b"), ("add", "m-1", "i-1", "--tag", "a=b"), ("remove", "m-1"), ("list",)],
    ids=" ".join,
)
def test_refuses_tags_of_what_nobody_knows(shell, words):
    assert shell.runner.invoke(app, ["tag", *words]).exit_code == exits.USAGE.number


def test_lists_regions_zones_and_types(shell):
    region = shell.runner.env["KILN_REGION"]

    assert region in shell.run("region", "list", "-q").splitlines()
    assert all(zone.startswith(region) for zone in shell.run("region", "zones", "-q").splitlines())
    assert "ecs.t5-lc1m1.small" in shell.run("region", "types", "-q").splitlines()


def test_shows_what_runs_and_what_takes_space(shell, instance, image, data):
    found = json.loads(shell.run("status", "--json"))

    (running,) = [one for one in found["Resources"] if (one["What"], one["Status"]) == ("instance", "Running")]
    assert running["Count"] >= 1
    assert [one["Where"] for one in found["Space"]] == [str(data / "pool"), str(data / "buckets"), str(data)]
    assert all(one["Taken"] >= 0 and one["Free"] > 0 for one in found["Space"])
    assert "instance" in shell.run("status")


def test_shows_what_has_failed(shell, tmp_path):
    (file := tmp_path / "broken.qcow2").write_bytes(b"QFI\xfb" + bytes(100))
    failed = shell.runner.invoke(app, ["image", "import", str(file)]).stdout.strip()

    waiting = {one["Id"]: one["Status"] for one in json.loads(shell.run("status", "--json"))["Waiting"]}

    assert waiting[failed] == "CreateFailed"
    shell.run("image", "delete", failed)


def test_says_in_which_folder_an_exported_object_lies(shell, image, data):
    result = shell.runner.invoke(app, ["image", "export", image])

    assert result.exit_code == exits.DONE.number, result.stderr
    (bucket,) = (data / "buckets").glob("exports-*")
    assert f"in the bucket {bucket.name}, {bucket}" in " ".join(result.stderr.split())
    assert (bucket / result.stdout.strip()).is_file()


def test_makes_attaches_and_deletes_a_key_pair(shell, instance, tmp_path):
    key = tmp_path / "ops.pem"

    assert shell.run("key-pair", "create", "ops", "--output", str(key)) == "ops"
    printed = shell.run("key-pair", "create", "second")

    assert key.read_text().startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert key.stat().st_mode & 0o777 == 0o600
    assert printed.startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    shell.run("key-pair", "attach", "ops", "web")
    assert [row["KeyPairName"] for row in shell.rows("instance", "list", "--name", "web")] == ["ops"]
    assert "kiln key-pair detach" in shell.refuses("key-pair", "delete", "ops", "second")
    shell.run("tag", "add", "ops", "--type", "keypair", "--tag", "team=web")
    assert shell.run("tag", "list", "--type", "keypair", "--tag", "team", "-q") == "ops"
    shell.run("key-pair", "detach", "ops", instance)
    shell.run("key-pair", "delete", "ops", "second")
    assert shell.rows("key-pair", "list") == []


def test_leaves_no_file_for_a_private_key_that_is_refused(shell, tmp_path):
    key = tmp_path / "ops.pem"

    shell.refuses("key-pair", "create", "1ops", "--output", str(key))
    assert not key.exists()

    key.write_text("precious")
    taken = shell.runner.invoke(app, ["key-pair", "create", "ops", "--output", str(key)])
    assert taken.exit_code == exits.USAGE.number
    assert key.read_text() == "precious"
    assert shell.rows("key-pair", "list") == []


def test_brings_in_a_public_key_from_its_file(shell, tmp_path):
    (file := tmp_path / "id.pub").write_text(ED25519 + " me@here\n")

    assert shell.run("key-pair", "import", "mine", str(file)) == "mine"

    assert shell.run("key-pair", "list", "-q") == "mine"
    missing = shell.runner.invoke(app, ["key-pair", "import", "other", str(tmp_path / "none.pub")])
    assert missing.exit_code == exits.USAGE.number
    shell.run("key-pair", "delete", "mine")


def test_a_guest_is_not_built_for_a_name_that_the_service_refuses(shell, data):
    """It was built for minutes first."""
    result = shell.runner.invoke(app, ["guest", "build", "debian", "--name", "1-bad", "--data", str(data)])

    assert result.exit_code == exits.REFUSED.number, result.output
    assert "InvalidImageName.Malformed" in result.stderr
    assert "making the guest" not in result.stderr
    assert [path.name for path in (data / "buckets").glob("uploads-*/*rehearsal")] == []


def test_a_list_of_images_shows_whose_they_are_where_some_are_anothers(shell, data, image):
    assert "OWNER" not in shell.run("image", "list").splitlines()[0]
    words = ["account", "add", "neighbour", "--json", "--data", str(data)]
    keys = json.loads(CliRunner().invoke(app, words).stdout)
    shell.run("image", "share", image, keys["Account"])
    theirs = {"KILN_ACCESS_KEY_ID": keys["AccessKeyId"], "KILN_ACCESS_KEY_SECRET": keys["AccessKeySecret"]}
    neighbour = Shell({**shell.runner.env, **theirs})

    titles, *lines = neighbour.run("image", "list").splitlines()

    assert titles.split()[-1] == "OWNER"
    assert {line.split()[-1] for line in lines} == {str(shell.rows("image", "list")[0]["ImageOwnerId"])}
    assert neighbour.run("image", "list", "-q") == image
    shell.run("image", "unshare", image, keys["Account"])


def test_lists_mark_what_is_encrypted_where_something_is(shell, image):
    def marked(noun):
        titles, *lines = shell.run(noun, "list").splitlines()
        assert ("ENCRYPTED" in titles) == any(line.endswith(" yes") for line in lines)
        return sum(line.endswith(" yes") for line in lines)

    nouns = ("image", "snapshot", "disk")
    assert [marked(noun) for noun in nouns] == [0, 0, 0]

    copy = shell.run("image", "copy", image, "--to", shell.runner.env["KILN_REGION"], "--encrypted", "--name", "sealed")
    disk = shell.run("disk", "create", "--size", "20", "--encrypted")

    assert [marked(noun) for noun in nouns] == [1, 1, 1]
    shell.run("disk", "delete", disk)
    shell.run("image", "delete", copy, "--with-snapshots")


def test_status_says_of_which_region_it_speaks(shell, data):
    assert shell.run("status").startswith(f"In the region {shell.runner.env['KILN_REGION']};")
    assert shell.run("status", "--region", "cn-hangzhou").startswith("In the region cn-hangzhou;")
    assert json.loads(shell.run("status", "--json"))["Region"] == shell.runner.env["KILN_REGION"]


def test_tab_completes_what_is_in_the_region_that_was_named(shell, image):
    copy = shell.run("image", "copy", image, "--to", "cn-hangzhou", "--name", "far")

    def shown(line: str) -> list[str]:
        asked = {"_KILN_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()))}
        command = [sys.executable, "-m", "kiln.cli.main"]
        environment = {**os.environ, **shell.runner.env, **asked}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=300)
        return done.stdout.split()

    assert copy not in shown("kiln image show ")
    assert {copy, "far"} <= set(shown("kiln image show --region cn-hangzhou "))
    shell.run("key-pair", "create", "tabbed", "--region", "cn-hangzhou")
    assert shown("kiln key-pair delete --region cn-hangzhou t") == ["tabbed"]
    assert shown("kiln key-pair create --region cn-hangzhou t") == []
    shell.run("key-pair", "delete", "tabbed", "--region", "cn-hangzhou")
    shell.run("image", "delete", copy, "--with-snapshots", "--region", "cn-hangzhou")


def test_lays_a_network_and_takes_it_away(shell, image):
    vpc = shell.run("vpc", "create", "--name", "build", "--cidr", "10.0.0.0/16")
    (zone,) = shell.run("region", "zones", "-q").splitlines()[:1]
    switch = shell.run("vswitch", "create", "--vpc", "build", "--zone", zone, "--cidr", "10.0.0.0/24", "--name", "a")
    eip = shell.run("eip", "create", "--name", "door")
    group = shell.run("security-group", "create", "--name", "walls", "--vpc", "build")
    instance = shell.run("instance", "run", "--image", image, "--name", "in-a", "--vswitch", "a", "--no-public-ip")

    assert shell.run("vswitch", "list", "--vpc", "build", "-q") == switch
    assert shell.run("vpc", "list", "--name", "build", "-q") == vpc
    shell.run("vswitch", "modify", "a", "--name", "a-2")
    shell.run("vpc", "modify", "build", "--description", "for builds")
    assert json.loads(shell.run("vswitch", "show", "a-2", "--json"))["VSwitchId"] == switch
    assert json.loads(shell.run("vpc", "show", "build", "--json"))["Description"] == "for builds"
    shell.run("security-group", "open", "walls", "--protocol", "tcp", "--ports", "80/80", "--source", "0.0.0.0/0")
    shell.run("security-group", "join", "walls", "--instance", "in-a")
    assert json.loads(shell.run("security-group", "show", "walls", "--json"))["SecurityGroupId"] == group
    assert shell.run("security-group", "list", "--group", group[:9], "-q") == group
    shell.run("tag", "add", "walls", "--type", "securitygroup", "--tag", "use=test")
    shell.run("resource-group", "add", "default", group)
    assert [row["ResourceId"] for row in shell.rows("tag", "list", "--resource", group)] == [group]
    assert "`kiln security-group list`" in shell.refuses("security-group", "delete", "nothing")
    shell.run("eip", "attach", "door", "in-a")
    assert json.loads(shell.run("eip", "show", "door", "--json"))["AllocationId"] == eip
    assert [row["InstanceId"] for row in shell.rows("eip", "list", "--status", "InUse")] == [instance]
    assert "IncorrectEipStatus" in shell.refuses("eip", "delete", eip)
    shell.run("eip", "detach", "door")
    shell.run("eip", "delete", "door")
    assert "DependencyViolation" in shell.refuses("vswitch", "delete", "a-2")
    shell.run("instance", "delete", "in-a", "--force")
    shell.run("security-group", "delete", "walls")
    assert "DependencyViolation.VSwitch" in shell.refuses("vpc", "delete", "build")
    shell.run("vswitch", "delete", "a-2")
    shell.run("vpc", "delete", "build")
    assert shell.rows("vpc", "list", "--name", "build") == []


def test_takes_snapshots_of_one_instant_and_by_themselves(shell, image):
    instance = shell.run("instance", "run", "--image", image, "--name", "kept", "--data-disk", "size=20")
    disks = shell.run("disk", "list", "--instance", instance, "-q").split()

    group = shell.run("snapshot-group", "create", "kept", "--name", "nightly")
    (row,) = shell.rows("snapshot-group", "list", "--instance", "kept")
    assert (row["SnapshotGroupId"], row["Status"], len(row["Snapshots"]["Snapshot"])) == (group, "accomplished", 2)
    shell.run("snapshot-group", "modify", "nightly", "--description", "As it was")
    shell.run("snapshot-group", "delete", "nightly")
    assert shell.rows("snapshot-group", "list") == []

    times = ("--at", "0", "--at", "12", "--on", "1", "--keep", "-1")
    policy = shell.run("snapshot-policy", "create", "--name", "half-days", *times)
    assert " 0,12 " in shell.run("snapshot-policy", "list")
    shell.run("snapshot-policy", "apply", "half-days", *disks)
    (row,) = shell.rows("snapshot-policy", "list")
    assert (row["TimePoints"], row["RetentionDays"], row["DiskNums"]) == ('["0", "12"]', -1, 2)
    shell.run("snapshot-policy", "modify", "half-days", "--keep", "7")
    shell.run("snapshot-policy", "cancel", disks[0])
    assert [row["AutoSnapshotPolicyId"] for row in shell.rows("disk", "list", "--instance", "kept")] == ["", policy]
    shell.run("snapshot-policy", "delete", policy)

    shell.run("instance", "stop", "kept")
    shell.run("disk", "reinit", disks[0])
    shell.run("instance", "delete", "kept")


def test_runs_what_a_template_says(shell, image):
    template = shell.run("launch-template", "create", "web", "--image", image, "--tag", "use=test")
    assert "LaunchTemplateName.Duplicated" in shell.refuses("launch-template", "create", "web")
    assert (
        shell.run("launch-template", "add-version", template, "--family", "web", "--type", "ecs.none", "--public-ip")
        == "2"
    )

    instance = shell.run("instance", "run", "--template", "web", "--type", "ecs.t5-lc1m1.small", "--name", "of-it")
    (row,) = shell.rows("instance", "list", "--name", "of-it")
    assert (row["InstanceId"], row["ImageId"], row["InternetMaxBandwidthOut"]) == (instance, image, 0)
    assert row["Tags"]["Tag"] == [{"TagKey": "use", "TagValue": "test"}]
    shell.run("tag", "add", "web", "--type", "launchtemplate", "--tag", "team=web")
    assert [row["ResourceId"] for row in shell.rows("tag", "list", "--resource", template)] == [template]
    told = shell.refuses("instance", "run", "--template", "web", "--template-version", "3")
    assert "InvalidLaunchTemplateVersion.NotFound" in told

    shell.run("launch-template", "set-default", "web", "2")
    versions = shell.rows("launch-template", "show", template)
    assert [one["VersionNumber"] for one in versions] == [2, 1]
    assert [one["LaunchTemplateData"].get("InternetMaxBandwidthOut") for one in versions] == [100, None]
    assert "ecs.none" in shell.run("launch-template", "show", "web")
    shell.run("launch-template", "delete", "web", "--version", "1")
    assert shell.run("launch-template", "list", "--name", "web", "-q") == template
    shell.run("launch-template", "delete", "web")
    assert shell.rows("launch-template", "list") == []
    shell.run("instance", "delete", "of-it", "--force")


def test_puts_things_into_a_resource_group(shell, image):
    group = shell.run("resource-group", "create", "web")
    assert shell.rows("resource-group", "list", "--name", "web")[0]["DisplayName"] == "web"
    shell.run("resource-group", "rename", group, "Web servers")

    shell.run("resource-group", "add", "web", image)

    assert [row["ImageId"] for row in shell.rows("image", "list", "--resource-group", "web")] == [image]
    assert "DeleteConflict.ResourceGroup.Resource" in shell.refuses("resource-group", "delete", group)
    (default,) = shell.rows("resource-group", "list", "--name", "default")
    shell.run("resource-group", "add", default["Id"], "base", "--type", "image")
    shell.run("resource-group", "delete", group)
    assert shell.rows("resource-group", "list", "--name", "web") == []
