"""Whatever is secret in a Kiln, its logs and its settings is in no bundle, which comes of what is broken, too."""

from __future__ import annotations

import base64
import json
import tarfile
from dataclasses import replace
from urllib.parse import quote

import pytest

from kiln.declare.facts import NoFacts
from kiln.declare.states import TaskStatus
from kiln.service.backups.errors import BackupRefused
from kiln.service.support.bundle import Wanted, collect
from kiln.service.support.masking import MASK, Mask, of_settings
from kiln.store.accounts import credentials
from kiln.store.commands import commands
from kiln.store.tasks import new_task, tasks
from tests.service.pairs import Home, as_cloud
from tests.stock import an_instance

PASSWORD = 'Pa"ss\\wörd-1'
USER_DATA = "#cloud-config\nchpasswd: {list: [root:hunter2-hunter2]}"
COMMAND = "mysql -psecret-of-mysql"
NAME = "payroll-of-Jürgen"

#: What programs write of what they were given.
LINES = """{"event": "x", "headers": "Authorization: Bearer eyJhbGciOi.abc.def", "PasswordOfSomebody": "only-in-a-log"}
GET /?Action=X&Signature=c2lnbmF0dXJl%3D&SignatureNonce=1 HTTP/1.1
{"SecurityToken": "sts-token-of-somebody", "request": "{\\"AccessKeySecret\\": \\"nested-in-text\\"}"}
postgresql://kiln:word-of-a-url@db.example/kiln
password = 'in-single-quotes'
Cookie: session=of-a-browser
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASC
-----END PRIVATE KEY-----
the end, which is told
"""
ONLY_IN_LOG = (
    *("eyJhbGciOi", "only-in-a-log", "c2lnbmF0dXJl", "sts-token-of-somebody", "nested-in-text", "word-of-a-url"),
    *("in-single-quotes", "of-a-browser", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"),
)


def read(path):
    with tarfile.open(path) as tar:
        return {one.name.partition("/")[2]: tar.extractfile(one).read().decode() for one in tar}


@pytest.fixture
def planted(tmp_path):
    """A Kiln with a secret of every kind, what has to be looked for, and a log that has all of it."""
    home = Home(tmp_path / "home")
    found = {PASSWORD, "hunter2-hunter2", COMMAND, "of-the-settings"}
    with home.started() as it:
        cloud = as_cloud(it)
        sealed = it.sealer.seal(PASSWORD)
        data = base64.b64encode(USER_DATA.encode()).decode()
        instance = an_instance(
            cloud, account=cloud.account, name=NAME, password=sealed, user_data=data, host_name="jürgens-host"
        )
        cloud.call(
            "CreateCommand", Name=NAME, Type="RunShellScript", CommandContent=COMMAND, ContentEncoding="PlainText"
        )
        task = new_task("StartInstance", instance.id, NoFacts(), 1.0)
        told = f"{NAME} at 192.0.2.7 could not log in with {PASSWORD}"
        failed = replace(task, status=TaskStatus.FAILED, error_code="X", error_message=told, finished_at=2.0)
        it.database.write(lambda tx: tasks.insert(tx, failed))
        with it.database.read() as tx:
            keys = credentials.all(tx)
            content = [row.content for row in commands.all(tx)]
        found |= {one.sealed_secret for one in keys} | {it.sealer.open(one.sealed_secret) for one in keys}
        found |= {sealed, data, *content}
    for name in ("master.key", "volumes.key"):
        raw = (home.data / name).read_bytes()
        found |= {raw.hex(), base64.b64encode(raw).decode()}
    log = tmp_path / "kiln.log"
    spelled = [json.dumps(one) for one in found] + [quote(one) for one in found]
    log.write_text("x" * 2 * 1024 * 1024 + "\n" + "\n".join([*sorted(found), *spelled]) + "\n" + LINES)
    run = home.data / "run" / instance.id
    run.mkdir(parents=True)
    (run / "qemu.log").write_text(f"qemu: {PASSWORD} is no passphrase\n")
    (run / "console.log").write_text("what the guest wrote")
    return home, found, log


def settings_of(home):
    return replace(home.settings, server_access_key_id="LTAIx", server_access_key_secret="of-the-settings")


@pytest.mark.parametrize("is_anonymous", [False, True])
def test_holds_no_secret_of_any_kind(planted, tmp_path, is_anonymous):
    home, secrets, log = planted
    path = tmp_path / "bundle.tar.gz"

    collect(settings_of(home), path, Wanted(is_anonymous=is_anonymous, log=log), lambda _: None)

    assert path.stat().st_mode & 0o777 == 0o600
    parts = read(path)
    everything = "\n".join([*parts, *parts.values()])
    for secret in (*secrets, *ONLY_IN_LOG, *(quote(one) for one in secrets), "what the guest wrote"):
        assert secret not in everything, secret
    assert "the end, which is told" in parts["log.txt"]
    assert len(parts["log.txt"]) < 1.1 * 1024 * 1024
    assert (NAME in everything) == (not is_anonymous)
    assert ("192.0.2.7" in everything) == (not is_anonymous)
    assert "jürgens-host" not in everything
    assert parts["fsck.txt"].endswith("all is well\n")


def test_tells_what_a_fault_is_looked_for_by(planted, tmp_path):
    home, _, log = planted
    path = tmp_path / "bundle.tar.gz"
    collect(settings_of(home), path, Wanted(log=log), lambda _: None)

    parts = read(path)
    assert json.loads(parts["about.json"])["is_served"] is False
    assert json.loads(parts["settings.json"])["server_access_key_secret"] == MASK
    assert json.loads(parts["settings.json"])["log"] == "warning"
    assert json.loads(parts["counts.json"])["rows"]["instances"] == {"": 1, "Stopped": 1}
    assert json.loads(parts["counts.json"])["chains_by_depth"] == {"1": 1}
    (failed,) = [one for one in json.loads(parts["tasks.json"]) if one["status"] == "Failed"]
    assert (failed["action"], failed["error_code"], failed["finished_at"]) == (
        "StartInstance",
        "X",
        "1970-01-01T00:00:02Z",
    )
    assert json.loads(parts["pair.json"])["pool"]["generation"]["number"] == 1
    assert "qemu-img" in parts["doctor.txt"]
    assert parts[next(name for name in parts if name.startswith("machines/"))] == f"qemu: {MASK} is no passphrase\n"
    with pytest.raises(BackupRefused, match="there already"):
        collect(settings_of(home), path, Wanted(log=log), lambda _: None)


@pytest.mark.parametrize(
    ("place", "refusal", "told"),
    [
        ("there.tar.gz", BackupRefused, "there.tar.gz is there already"),
        ("link.tar.gz", BackupRefused, "link.tar.gz is there already"),
        ("none/bundle.tar.gz", FileNotFoundError, "/none'$"),
        ("there.tar.gz/bundle.tar.gz", NotADirectoryError, "there.tar.gz'$"),
        ("/proc/self/bundle.tar.gz", PermissionError, "no file can be made there: '/proc/self'"),
    ],
)
def test_looks_at_its_place_before_the_work(tmp_path, place, refusal, told):
    """What takes minutes on a large pool was done, and thrown away."""
    (tmp_path / "there.tar.gz").touch()
    (tmp_path / "link.tar.gz").symlink_to("nowhere")
    said = []

    with pytest.raises(refusal, match=told):
        collect(Home(tmp_path / "home").settings, tmp_path / place, Wanted(), said.append)

    assert said == []


def test_comes_of_a_running_and_of_a_broken_kiln(planted, tmp_path):
    home, _, log = planted
    with home.started():
        collect(settings_of(home), tmp_path / "runs.tar.gz", Wanted(log=log), lambda _: None)
    assert "the service runs" in read(tmp_path / "runs.tar.gz")["fsck.txt"]

    home.sqlite.write_bytes(b"no database at all" * 1000)
    collect(settings_of(home), tmp_path / "broken.tar.gz", Wanted(log=tmp_path / "nowhere"), lambda _: None)
    parts = read(tmp_path / "broken.tar.gz")
    assert parts["counts.json"].startswith("cannot be told: ")
    assert parts["log.txt"].startswith("cannot be told: FileNotFoundError")
    assert json.loads(parts["about.json"])["kiln"]


def test_a_secret_of_the_database_s_address_is_masked(tmp_path):
    settings = replace(Home(tmp_path).settings, database="postgresql://kiln:word-of-the-database@db/kiln")
    assert "word-of-the-database" in of_settings(settings)
    (file := tmp_path / "password").write_text("word-of-a-file\n")
    named = replace(settings, database="postgresql://db/kiln", database_password_file=str(file))
    assert "word-of-a-file" in of_settings(named)
    assert "word-of-a-setting" in of_settings(replace(settings, database_password="word-of-a-setting"))
    assert Mask(())("at postgresql://kiln:word@db/kiln") == f"at postgresql://kiln:{MASK}@db/kiln"
    assert Mask(["short"])("a short one") == "a short one"


def test_what_holds_no_secret_stays_json():
    said = {"tokens": {"": 5}, "credentials": [1, 2], "token_count": 3, "event": "started"}
    assert json.loads(Mask(())(json.dumps(said)))["event"] == "started"
    assert json.loads(Mask(())(json.dumps(said, indent=1)))["tokens"] == {"": 5}
