"""A folder that the processes of a deployment share, instead of what lies in the data folder of one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from kiln.cli.exits import FILE, SETTINGS
from kiln.service.assemble import assemble, look
from kiln.service.backups.errors import BackupRefused
from kiln.service.backups.restoring import restore
from kiln.service.backups.taking import Wish, take
from kiln.service.claim import hold_data_folder
from kiln.service.doctor import examine
from kiln.service.environment import environment
from kiln.service.errors import DataFolderRefused, DeploymentRefused, PoolHeld, SharedFolderRefused
from kiln.service.pools import hold_pool
from kiln.service.sharing import refuse_mount, require_fit
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from tests import warm
from tests.contract.conftest import small_folder  # noqa: F401 - a fixture.
from tests.pools.kills import killed_at, points_of
from tests.pools.patterns import holds
from tests.service.pairs import Home, as_cloud
from tests.service.test_rebuilding import fill
from tests.tools import needs
from tests.waiting import wait_for

SHARED = {"pool", "master.key", "volumes.key"}


def silent(*_):
    pass


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def home(tmp_path):
    (tmp_path / "shared").mkdir()
    return Home(tmp_path / "home", shared=tmp_path / "shared")


def back_up(home, to):
    return take(home.settings, to, Wish(with_buckets=True), silent, silent)


def test_what_all_processes_see_lies_there_and_the_rest_in_the_data_folder(home):
    with home.started() as it:
        fill(as_cloud(it))
        assert is_well(fsck(it.ports, repair=False, say=silent))

    assert names(home.shared) >= SHARED
    assert not names(home.data) & {*SHARED, "buckets"}
    assert (home.data / "kiln.sqlite").is_file()
    assert home.start() == 2


@pytest.mark.slow
def test_a_served_kiln_shares_it_and_the_words_beside_it_are_told_where(home, tmp_path):
    with warm.start_kiln(home.data, shared=home.shared) as served:
        told = warm.kiln("env", "--data", home.data, "--shared", home.shared)
        assert f"export KILN_SHARED={home.shared}\n" in told.stdout
        made = warm.kiln("bucket", "create", "images", "--data", home.data, "--shared", home.shared)
        assert made.stdout == f"{home.shared}/buckets/images\n"
        (served.buckets / "images" / "disk.raw").write_bytes(bytes(65536))
        assert names(home.shared) >= {*SHARED, "buckets", "ca.key", "ca.pem"}
    shown = warm.kiln("fsck", "--data", home.data, "--shared", home.shared)
    assert (shown.returncode, shown.stdout.splitlines()[-1]) == (0, "all is well")
    lost = warm.kiln("account", "list", "--data", home.data)
    assert (lost.returncode, "the pool bears no identity" in lost.stderr) == (FILE.number, True)


def test_one_that_is_not_there_is_never_made(home):
    home.start()
    home.shared.rename(home.shared.with_name("elsewhere"))

    for opened in (home.started(), assemble(home.settings), look(home.settings)):
        with pytest.raises(SharedFolderRefused, match="no folder that is there"), opened:
            pass
    with pytest.raises(SharedFolderRefused):
        environment(home.settings)

    assert not home.shared.exists()


def test_the_word_serve_says_so(home):
    home.shared.rmdir()

    done = warm.kiln("serve", "--data", home.data, "--shared", home.shared, "--machines", "none")

    assert done.returncode == FILE.number
    assert f"{home.shared} is no folder that is there" in done.stderr
    assert "is it mounted?" in done.stderr
    assert done.returncode != SETTINGS.number


def test_an_empty_one_is_no_new_pool_while_the_database_knows_another(home):
    home.start()
    home.shared.rename(home.shared.with_name("elsewhere"))
    home.shared.mkdir()

    with pytest.raises(DeploymentRefused, match="not mounted"), home.started():
        pass

    assert names(home.shared) == set()


def test_the_one_of_another_deployment_is_refused(home, tmp_path):
    home.start()
    other = Home(tmp_path / "other", shared=home.shared)
    before = {name: (home.shared / name).stat().st_mtime_ns for name in names(home.shared)}

    with pytest.raises(DeploymentRefused, match="there is no database, but the pool is that of deployment"):
        other.start()
    other = Home(tmp_path / "third", shared=tmp_path / "fourth")
    other.shared.mkdir()
    other.start()
    with pytest.raises(DeploymentRefused, match="do not belong together"):
        Home(other.data, shared=home.shared).start()

    assert before == {name: (home.shared / name).stat().st_mtime_ns for name in names(home.shared)}


def test_what_is_somebody_elses_is_not_touched(home):
    (home.shared / "thesis.tex").write_text("x")

    with pytest.raises(DataFolderRefused, match=r"thesis\.tex"), home.started():
        pass

    assert names(home.shared) == {"thesis.tex"}


def test_one_that_can_only_be_read_is_told_before_anything_is_made(home, small_folder):  # noqa: F811 - the fixture.
    small_folder.chmod(0o755)
    home = Home(home.data, shared=small_folder)
    home.start()
    subprocess.run(["mount", "-o", "remount,ro", small_folder], check=True)

    with pytest.raises(SharedFolderRefused, match="Read-only"), assemble(home.settings):
        pass
    with look(home.settings) as ports:
        assert is_well(fsck(ports, repair=False, say=silent))


def test_a_file_system_without_locks_is_refused(home):
    """As the kernel answers where a server knows none."""
    needs("strace")
    program = (
        "import sys; from pathlib import Path; from kiln.service.datafolder import DataFolder; "
        "from kiln.service.sharing import require_fit; print('ready', flush=True); input(); "
        "require_fit(DataFolder(Path('/'), Path(sys.argv[1])))"
    )
    command = [sys.executable, "-P", "-c", program, home.shared]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as tried:
        assert tried.stdout.readline() == "ready\n"
        words = ["strace", "-qq", "-o", home.shared.with_name("trace"), "-e", "inject=fcntl:error=ENOLCK"]
        with subprocess.Popen([*words, "-p", str(tried.pid)]) as tracing:
            wait_for(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{tried.pid}/status").read_text())
            _, said = tried.communicate("go on\n")
            tracing.wait()

    assert "keeps no locks: No locks available" in said.splitlines()[-1]
    assert "SharedFolderRefused" in said
    require_fit(home.settings.folder)
    assert names(home.shared) == set()


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("nfs4", "rw,vers=4.2,hard,proto=tcp,local_lock=none", None),
        ("nfs", "rw,vers=3,hard,nolock,local_lock=all", "nolock"),
        ("nfs4", "rw,hard,local_lock=posix", "local_lock=posix"),
        ("nfs4", "rw,vers=4.2,soft,local_lock=none", "mounted soft"),
        ("nfs4", "rw,vers=4.2,softerr,local_lock=none", "mounted soft"),
        ("ceph", "rw,acl", None),
        ("ext4", "rw,nolock", None),
    ],
)
def test_mounts_whose_locks_or_writes_may_be_lost_are_refused(kind, options, words):
    reason = refuse_mount(kind, tuple(options.split(",")))

    assert (reason is None) if words is None else (words in str(reason))


def test_the_doctor_looks_at_it(home):
    def told():
        (found,) = (one for one in examine(home.settings) if one.subject == "shared folder")
        return found.state

    assert told() == "ok"
    home.shared.rmdir()
    assert told() == "cannot"


@pytest.mark.slow
def test_a_backup_has_what_lies_there_and_is_put_back_there(home, tmp_path):
    with home.started() as it:
        fill(as_cloud(it))
    (home.shared / "buckets" / "images").mkdir(parents=True, exist_ok=True)
    (home.shared / "buckets" / "images" / "disk.raw").write_bytes(b"disk")
    with pytest.raises(BackupRefused, match="shared folder itself"):
        back_up(home, home.shared / "backups")
    taken = back_up(home, tmp_path / "backups")
    assert {"keys/master.key", "keys/volumes.key", "buckets/images/disk.raw"} <= taken.manifest.files.keys()

    again = Home(tmp_path / "again", shared=tmp_path / "shared2")
    with pytest.raises(SharedFolderRefused):
        restore(again.settings, taken.path, silent)
    again.shared.mkdir()
    restore(again.settings, taken.path, silent)

    assert names(again.data) == {"kiln.sqlite", "lock"} - ({"lock"} - names(again.data))
    assert names(again.shared) >= {*SHARED, "buckets"}
    assert not list(again.shared.glob(".tmp*"))
    with again.started() as it:
        assert is_well(fsck(it.ports, repair=False, say=silent))
        heads = [volume for volume in it.pool.volumes() if holds(it.pool, volume, {0: 1})]
        assert heads


@pytest.mark.slow
def test_a_restore_into_one_that_is_killed_at_any_point_can_be_made_again(home, tmp_path):
    with home.started() as it:
        fill(as_cloud(it))
    taken = back_up(home, tmp_path / "backups")

    def there(name):
        made = Home(tmp_path / name / "home", shared=tmp_path / name / "shared")
        made.shared.mkdir(parents=True, exist_ok=True)
        return made

    points = points_of(lambda: restore(there("whole").settings, taken.path, silent))
    for number in (0, *(n for n, point in enumerate(points) if point.startswith("restore_backup."))):
        at = there(f"at-{number}")
        assert killed_at(number, partial(restore, at.settings, taken.path, silent)), points[number]
        if not (at.data / "kiln.sqlite").exists():
            beside = Home(at.data.with_name("beside"), shared=at.shared)
            for one in (at, beside):  # Another one sees what lies in the shared folder alone.
                if one is at or any(at.shared.glob(".tmp-restore-*/*")):
                    with pytest.raises(DeploymentRefused, match="`kiln restore FROM`"), one.started():
                        pass
            assert [one.state for one in examine(at.settings) if one.subject == "shared folder"] == ["cannot"]
            restore(at.settings, taken.path, silent)
        with at.started() as it:
            assert is_well(fsck(it.ports, repair=True, say=silent)), points[number]


@pytest.mark.slow
def test_a_try_that_was_killed_takes_nothing_away_from_the_folder_of_others(home, tmp_path):
    """A restore that was killed has left its draft in the data folder; the shared folder is a living one's."""
    with home.started() as it:
        fill(as_cloud(it))
    taken = back_up(home, tmp_path / "backups")
    half = Home(tmp_path / "half", shared=tmp_path / "unused")
    half.shared.mkdir()
    points = points_of(lambda: restore(half.settings, taken.path, silent))
    shutil.rmtree(half.data)
    shutil.rmtree(half.shared)
    half.shared.mkdir()
    assert killed_at(points.index("restore_backup.fetched"), partial(restore, half.settings, taken.path, silent))
    before = json.dumps(sorted(str(path) for path in home.shared.rglob("*")))

    with pytest.raises(BackupRefused, match="is not empty"):
        restore(Home(half.data, shared=home.shared).settings, taken.path, silent)

    assert before == json.dumps(sorted(str(path) for path in home.shared.rglob("*")))


@pytest.mark.slow
def test_a_copy_of_the_data_folder_is_kept_from_the_pool_that_a_living_one_serves(home, tmp_path):
    """It would take for nobody's what the living one has made since, and have the pool refuse that one's database."""
    with warm.start_kiln(home.data, shared=home.shared) as served:
        shutil.copytree(home.data, tmp_path / "copy")
        before = (home.pool / ".kiln" / "identity").read_bytes()
        where = ("--data", tmp_path / "copy", "--shared", home.shared)
        for words in (
            ("serve", *where, "--listen", "127.0.0.1:0", "--machines", "none"),
            ("fsck", *where),
            ("fsck", "--rebuild", *where),
            ("account", "reset-keys", *where),
        ):
            done = warm.kiln(*words)
            assert (done.returncode, "another Kiln works with the pool" in done.stderr) == (SETTINGS.number, True)
        assert (home.pool / ".kiln" / "identity").read_bytes() == before
        served.stop()
        served.start()
    assert home.start() == 3
    with pytest.raises(DeploymentRefused, match="older than the pool"):
        Home(tmp_path / "copy", shared=home.shared).start()


def test_a_link_to_the_pool_of_another_is_as_good_as_a_shared_folder(tmp_path):
    one, two = Home(tmp_path / "one"), Home(tmp_path / "two")
    one.start()
    two.data.mkdir()
    two.pool.symlink_to(one.pool)

    with hold_pool(one.settings):
        with pytest.raises(PoolHeld), hold_pool(two.settings):
            pass
        with pytest.raises(PoolHeld), hold_pool(replace(two.settings, database="postgresql://db/kiln")):
            pass
    with hold_pool(two.settings):
        pass


def test_those_with_one_database_share_the_pool(home):
    home.start()
    settings = replace(home.settings, database="postgresql://db/kiln")

    with hold_pool(settings), hold_pool(settings):
        pass


def test_nothing_is_made_to_hold_a_pool_that_is_not_there(home):
    with hold_pool(home.settings):
        pass

    assert names(home.shared) == set()


def test_several_data_folders_may_be_held_over_one(home, tmp_path):
    other = Home(tmp_path / "other", shared=home.shared)

    with hold_data_folder(home.data), hold_data_folder(other.data):
        pass
