from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from tests.rested import a_rested_kiln


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
    assert said("fsck", "--data", str(data)).exit_code == exits.DONE.number
    assert not draft.exists()


@pytest.mark.parametrize("word", ["fsck", "serve"])
def test_says_in_a_sentence_that_the_database_is_damaged(data, word):
    (data / "kiln.sqlite").write_bytes(b"no database" * 1000)

    result = said(word, "--data", str(data), *(["--listen", "127.0.0.1:0"] if word == "serve" else []))

    assert result.exit_code == exits.UNSOUND.number
    assert "kiln.sqlite is damaged" in result.stderr
    assert "file is not a database" in result.stderr
