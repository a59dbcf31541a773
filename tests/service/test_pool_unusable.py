"""A pool that cannot be written, and a trash that is no folder of the pool: words, and nothing that is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from kiln.calls.grace import Grace
from kiln.cli import exits
from kiln.cli.main import app
from kiln.store.volumes import Volume, volumes
from kiln.upkeep.sweep import sweep
from tests.clouds import make_cloud
from tests.mounts import mounted
from tests.service.pairs import Home
from tests.tools import lacks, needs


@contextmanager
def read_only(folder):
    with mounted("--bind", folder, folder):
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "kiln")
    with home.started() as it:
        it.pool.create("v-1", 1 << 20)
        it.database.write(lambda tx: volumes.insert(tx, a_volume("ready")))
    return home


def a_volume(state):
    return Volume(id="v-1", state=state, kind="layer", parent=None, size_bytes=1 << 20, task=None, created_at=0.0)


def said(home, *words):
    return CliRunner(env={"KILN_DATA": "", "KILN_DATABASE": ""}).invoke(app, [*words, "--data", str(home.data)])


WORDS = (["fsck"], ["serve", "--listen", "127.0.0.1:0"], ["trash", "list"], ["trash", "empty"])


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_word_says_that_the_pool_is_read_only(home, words):
    with read_only(home.pool):
        before = home.content()

        result = said(home, *words)

        assert home.content() == before
    assert result.exit_code == exits.FILE.number
    assert re.search(f"{re.escape(str(home.pool))}(/.kiln/claims)?: Read-only file system", result.stderr)
    assert "kiln fsck --no-repair" in result.stderr
    assert "Traceback" not in result.stderr
    assert said(home, "fsck").exit_code == exits.DONE.number


def test_a_word_that_needs_no_pool_does_not_stop_for_one_that_is_read_only(home):
    with read_only(home.pool):
        before = home.content()

        result = said(home, "account", "list")

        assert home.content() == before
    assert result.exit_code == exits.DONE.number, result.stderr


def test_fsck_looks_at_a_pool_that_is_read_only(home):
    with read_only(home.pool):
        result = said(home, "fsck", "--no-repair")

    assert result.exit_code == exits.DONE.number
    assert "all is well" in result.stdout


def test_a_word_says_that_the_pool_is_of_another_user(home):
    needs("setpriv")
    if os.geteuid() != 0:
        lacks("root")
    for path in (home.pool, *home.pool.rglob("*")):
        os.chown(path, 65534, 65534)
    # The user is root all the same, but what opens every door to it is taken away.
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--", sys.executable, "-P", "-m", "kiln.cli.main"]

    result = subprocess.run(
        [*command, "account", "list", "--data", home.data], capture_output=True, text=True, check=False
    )

    assert result.returncode == exits.FILE.number, result.stderr
    assert "Operation not permitted" in result.stderr or "Permission denied" in result.stderr
    assert "of Kiln's user" in result.stderr


def test_a_pool_that_becomes_read_only_loses_nothing(tmp_path, sqlite, caplog):
    cloud = make_cloud(tmp_path, sqlite)
    cloud.refit(grace=Grace(3600.0))
    cloud.ports.pool.create("v-1", 1 << 20)
    cloud.ports.database.write(lambda tx: volumes.insert(tx, a_volume("ready")))
    folder = next(path.parent for path in tmp_path.rglob("v-1.qcow2"))

    with read_only(folder):
        assert sweep(cloud.ports) == []
        assert cloud.ports.pool.exists("v-1")
    with cloud.ports.database.read() as tx:
        assert volumes.find(tx, id="v-1") is not None
    assert sweep(cloud.ports) == ["v-1"]
    assert [one.volume for one in cloud.ports.pool.discarded()] == ["v-1"]


def test_a_trash_on_a_mount_of_its_own_keeps_what_is_deleted_in_the_pool(tmp_path, sqlite, caplog):
    cloud = make_cloud(tmp_path, sqlite)
    cloud.refit(grace=Grace(3600.0))
    cloud.ports.pool.create("v-1", 1 << 20)
    cloud.ports.database.write(lambda tx: volumes.insert(tx, a_volume("ready")))
    trash = next(path.parent for path in tmp_path.rglob("v-1.qcow2")) / "trash"
    trash.mkdir(exist_ok=True)

    with mounted("-t", "tmpfs", "-o", "size=8m", "tmpfs", trash):
        assert sweep(cloud.ports) == []
        assert cloud.ports.pool.exists("v-1")
    assert "trash_unusable" in caplog.messages
    assert sweep(cloud.ports) == ["v-1"]
