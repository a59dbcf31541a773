from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.declare.states import InstanceStatus
from kiln.service.backups import manifest
from kiln.service.datafolder import DataFolder
from kiln.service.verdict import kept
from kiln.store.disks import disks
from tests.service.pairs import Home, as_cloud
from tests.stock import an_instance
from tests.tools import needs


def words(*said):
    return CliRunner(env={"KILN_DATABASE": "", "KILN_DATA": ""}).invoke(app, [str(one) for one in said])


def test_keeps_checks_lists_and_puts_back(tmp_path):
    home, to = Home(tmp_path / "home"), tmp_path / "backups"
    home.start()

    made = words("backup", to, "--data", home.data)
    assert made.exit_code == 0, made.output
    assert "not kept: the objects of buckets" in made.stdout
    again = json.loads(words("backup", "create", to, "--data", home.data, "--json").stdout)
    assert (again["CopiedBytes"], again["Moments"]) == (0, {})
    assert len(words("backup", "list", to).stdout.splitlines()) == 2
    assert "all is well" in words("backup", "check", to).stdout
    (to / "20010101T000000Z").mkdir()
    listed = words("backup", "list", to)
    assert (listed.exit_code, len(listed.stdout.splitlines())) == (0, 3)
    assert "20010101T000000Z is no backup" in listed.stdout

    # As the flags' help says; the shell of a cluster's operator has others set.
    put_back = words("restore", to, "--data", tmp_path / "again", "--database", "", "--shared", "")
    assert put_back.exit_code == 0, put_back.output
    assert put_back.stdout.endswith("all is well\n")
    verdict = kept(DataFolder(tmp_path / "again").verdict)
    assert not any(verdict.findings.values())
    assert Home(tmp_path / "again").start() == home.start()


def test_removes_older_ones_and_names_them(tmp_path):
    home, to = Home(tmp_path / "home"), tmp_path / "backups"
    home.start()
    words("backup", to, "--data", home.data)
    (old,) = to.iterdir()
    assert words("backup", to, "--data", home.data, "--keep", 0).exit_code == exits.USAGE.number
    made = words("backup", to, "--data", home.data, "--keep", 1)
    assert f"removed: {old}\n" in made.stdout
    assert old not in to.iterdir()
    assert len(list(to.iterdir())) == 1


def test_says_what_is_broken_and_makes_nothing_of_it(tmp_path):
    home, to = Home(tmp_path / "home"), tmp_path / "backups"
    home.start()
    words("backup", to, "--data", home.data)
    (one,) = to.iterdir()
    (one / "keys" / "master.key").write_bytes(b"another")

    checked = words("backup", "check", to)
    assert checked.exit_code == exits.UNSOUND.number
    assert "broken  keys/master.key has 7 bytes, not 32" in checked.stdout
    refused = words("restore", to, "--data", tmp_path / "again")
    assert refused.exit_code == exits.UNSOUND.number
    assert "keys/master.key has 7 bytes" in refused.stderr


@pytest.mark.parametrize("word", [("backup", "check"), ("backup", "list"), ("restore",)])
@pytest.mark.parametrize(
    ("lies", "said"), [("nothing", "is not there"), ("file", "is no folder"), ("etc", "is no backup")]
)
def test_says_of_what_is_no_backup_what_to_name(tmp_path, word, lies, said):
    (tmp_path / "file").touch()
    (tmp_path / "etc" / "init.d").mkdir(parents=True)

    refused = words(*word, tmp_path / lies, *(("--data", tmp_path / "again") if word == ("restore",) else ()))

    assert refused.exit_code == exits.FILE.number
    assert f"{tmp_path / lies} {said}" in refused.stderr
    assert "Name a backup, or the folder TO in which `kiln backup create TO` puts them." in refused.stderr
    assert "older backup" not in refused.stderr
    assert not (tmp_path / "again").exists()


def test_lists_a_backup_that_is_named_itself_and_says_that_a_folder_has_none_yet(tmp_path):
    home, to = Home(tmp_path / "home"), tmp_path / "backups"
    home.start()
    to.mkdir()
    empty = words("backup", "list", to)
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert f"There is no backup in {to} yet." in empty.stderr
    assert f"there is no backup in {to}" in words("backup", "check", to).stderr

    words("backup", to, "--data", home.data)
    (one,) = to.iterdir()
    assert words("backup", "list", one).stdout == words("backup", "list", to).stdout != ""


def test_refuses_what_cannot_be_put_back(tmp_path):
    home = Home(tmp_path / "home")
    home.start()
    refused = words("backup", home.data / "backups", "--data", home.data)
    assert refused.exit_code == exits.FILE.number
    assert "lies in the data folder itself" in refused.stderr
    assert words("backup", tmp_path / "b", "--data", tmp_path / "nothing").exit_code == exits.FILE.number
    words("backup", tmp_path / "b", "--data", home.data)
    assert "is not empty" in words("restore", tmp_path / "b", "--data", home.data).stderr


def test_names_what_it_could_not_capture_and_ends_with_another_code(tmp_path):
    needs("qemu-img")
    home, to = Home(tmp_path / "home"), tmp_path / "backups"
    with home.started() as it:
        cloud = as_cloud(it)
        row = an_instance(cloud, account=cloud.account, status=InstanceStatus.RUNNING)
        made = words("backup", to, "--data", home.data, "--timeout", 0.1)
        assert made.exit_code == exits.PARTLY.number, made.output
        named = f"what was written to {row.id} since it was last captured, or made: it could not be captured in time"
        assert f"not kept: {named}" in made.stdout
        assert words("backup", "list", to).stdout.endswith(" bytes, not whole\n")
        left_out = words("backup", to, "--data", home.data, "--without", row.id, "--json")
        assert left_out.exit_code == 0, left_out.output
        assert json.loads(left_out.stdout)["Missed"] == {row.id: "it was to be left out"}
        assert words("backup", to, "--data", home.data, "--without", "i-none").exit_code == exits.FILE.number
    (first, _) = sorted(to.iterdir())
    assert f"not in the backup: {named}" in words("restore", first, "--data", tmp_path / "again").stdout


def test_names_a_disk_whose_header_is_broken_and_prints_nothing_else_of_it(tmp_path):
    needs("qemu-img")
    home, to = Home(tmp_path / "home"), tmp_path / "backups"
    with home.started() as it:
        cloud = as_cloud(it)
        row = an_instance(cloud, account=cloud.account)
        with it.database.read() as tx:
            (disk,) = disks.all(tx, instance=row.id)
    (home.pool / f"{disk.volume}.qcow2").write_bytes(b"\x1b[2J" * 200)

    made = words("backup", to, "--data", home.data)

    assert made.exit_code == exits.PARTLY.number, made.output
    assert f"not kept: what was written to {row.id} since" in made.stdout
    assert f"its disk {disk.id} cannot be read: {disk.volume} does not begin as a qcow2 file" in made.stdout
    assert words("restore", to, "--data", tmp_path / "again").exit_code == 0


def test_what_a_hostile_manifest_says_was_missed_reaches_no_terminal_as_it_is(tmp_path):
    home, to = Home(tmp_path / "home"), tmp_path / "backups"
    home.start()
    words("backup", to, "--data", home.data)
    (one,) = to.iterdir()
    said = json.loads((one / manifest.FILE).read_text()) | {
        "missed": {"i-\x1b[2J": "\x1b]0;owned\x07\nall is well \ud800"}
    }
    said.pop("checksum")
    (one / manifest.FILE).write_text(json.dumps({**said, "checksum": manifest.checksum_of(said)}))

    put_back = words("restore", to, "--data", tmp_path / "again")

    assert put_back.exit_code == 0, put_back.output
    assert not {"\x1b", "\x07"} & set(put_back.stdout)
    assert put_back.stdout.count("\nall is well") == 1


def test_a_bundle_for_a_report_is_made_beside_it(tmp_path):
    home = Home(tmp_path / "home")
    home.start()
    made = words("support", "-o", tmp_path / "b.tar.gz", "--log", "/dev/null", "--data", home.data)
    assert made.exit_code == 0, made.output
    assert "counts.json" in made.stdout
    again = words("support", "-o", tmp_path / "b.tar.gz", "--data", home.data)
    assert again.exit_code == exits.FILE.number
    assert "there already" in again.stderr
