from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.pools import overlay
from kiln.service.verdict import kept
from kiln.store.volumes import Volume, volumes
from tests.rested import a_rested_kiln
from tests.service.pairs import Home


@pytest.fixture
def data(tmp_path):
    """The data folder of a Kiln with nothing in it."""
    return a_rested_kiln(tmp_path)


def said(*words: str):
    return CliRunner(env={"KILN_DATA": "", "KILN_DATABASE": ""}).invoke(app, list(words))


def test_finds_that_all_is_well(data):
    result = said("fsck", "--data", str(data))

    assert result.exit_code == exits.DONE.number
    assert result.stdout.endswith("all is well\n")


def test_changes_nothing_when_it_may_not_and_says_so(data):
    draft = data / "pool" / ".tmp-left"
    draft.touch()

    looked = said("fsck", "--data", str(data), "--no-repair", "--json")

    assert looked.exit_code == exits.UNSOUND.number
    assert [finding["sort"] for finding in json.loads(looked.stdout)] == ["repairable"]
    assert draft.exists()
    assert not (data / "fsck.json").exists()
    assert said("fsck", "--data", str(data)).exit_code == exits.DONE.number
    assert not draft.exists()
    verdict = kept(data / "fsck.json")
    assert verdict is not None
    assert verdict.findings == {"repaired": 1, "repairable": 0, "pending": 0, "broken": 0}


@pytest.mark.parametrize("word", ["fsck", "serve"])
def test_says_in_a_sentence_that_the_database_is_damaged(data, word):
    (data / "kiln.sqlite").write_bytes(b"no database" * 1000)

    result = said(word, "--data", str(data), *(["--listen", "127.0.0.1:0"] if word == "serve" else []))

    assert result.exit_code == exits.UNSOUND.number
    assert "kiln.sqlite is damaged" in result.stderr
    assert "file is not a database" in result.stderr


@pytest.mark.parametrize("named", [(), ("ACCESS_KEY",), ("APP",), ("ACCESS_KEY", "APP")])
def test_a_rebuild_shows_the_keys_that_it_made_and_names_those_that_were_given(tmp_path, named):
    home = Home(tmp_path / "kiln")
    with home.started() as it:
        a_kept_volume(it)
    home.forget_database()
    given = {
        "ACCESS_KEY": {"KILN_SERVER_ACCESS_KEY_ID": "LTAIgiven", "KILN_SERVER_ACCESS_KEY_SECRET": "a-secret-of-mine"},
        "APP": {"KILN_SERVER_APP_KEY": "100000007", "KILN_SERVER_APP_SECRET": "another-of-mine"},
    }
    environment = {"KILN_DATA": "", "KILN_DATABASE": ""}
    for kind in named:
        environment |= given[kind]

    result = CliRunner(env=environment).invoke(app, ["fsck", "--rebuild", "--data", str(home.data)])

    assert result.exit_code == exits.DONE.number, result.output
    assert "of-mine" not in result.output
    assert ("new keys of account" in result.stdout) == (len(named) < 2)
    assert ("AccessKey secret" in result.stdout) == ("ACCESS_KEY" not in named)
    assert ("AppSecret" in result.stdout) == ("APP" not in named)
    assert ("KILN_SERVER_ACCESS_KEY_ID: LTAIgiven" in result.stdout) == ("ACCESS_KEY" in named)
    assert ("KILN_SERVER_APP_KEY: 100000007" in result.stdout) == ("APP" in named)


def a_kept_volume(it):
    """Something for the pool's records to know: without any a pool is nobody's."""
    it.pool.create("v-1", 1 << 20)
    row = Volume(id="v-1", state="ready", kind="layer", parent=None, size_bytes=1 << 20, task=None, created_at=0.0)
    it.database.write(lambda tx: volumes.insert(tx, row))


@pytest.mark.slow
def test_shows_on_a_terminal_how_far_a_long_look_is(tmp_path):
    home = Home(tmp_path / "kiln")
    names = [f"v-{number}" for number in range(501)]
    with home.started(records=False) as it:
        for name in names:
            (home.pool / f"{name}.qcow2").touch()
            overlay.write(home.pool / f"{name}.qcow2", 1 << 20, None)
        rows = [
            Volume(id=name, state="ready", kind="layer", parent=None, size_bytes=1 << 20, task=None, created_at=0.0)
            for name in names
        ]
        it.database.write(lambda tx: volumes.insert(tx, *rows))
    ours, terminal = pty.openpty()
    command = [sys.executable, "-P", "-m", "kiln.cli.main", "fsck", "--no-repair", "--data", str(home.data)]

    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, text=True, check=False)

    shown = ""
    # A terminal gives what it was told in parts, and late.
    while "500 of 501 volumes" not in shown or not shown.endswith("\r\x1b[K"):
        shown += os.read(ours, 1 << 16).decode()
    os.close(ours)
    os.close(terminal)
    assert done.returncode == exits.DONE.number, done.stdout + shown
    assert "0 of 501 volumes" in shown
    assert "of 501" not in done.stdout
