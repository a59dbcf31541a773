from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.store.database import open_sqlite
from tests.full.scenarios import fill
from tests.mounts import mounted
from tests.rested import a_rested_kiln


@pytest.fixture
def account(tmp_path):
    """The words of ``kiln account``, on a data folder of their own."""
    a_rested_kiln(tmp_path)

    def run(*words: str):
        return CliRunner(env={"KILN_DATA": str(tmp_path), "KILN_DATABASE": ""}).invoke(app, ["account", *words])

    return run


def test_lists_what_was_added(account):
    added = json.loads(account("add", "team-b", "--json").stdout)

    assert {"Account": added["Account"], "Name": "team-b"} in json.loads(account("list", "--json").stdout)


@pytest.mark.parametrize("word", ["add-user", "add-resource-group"])
def test_refuses_what_is_there_already(account, word):
    team = json.loads(account("add", "team-b", "--json").stdout)["Account"]
    assert account(word, team, "rg-web").exit_code == exits.DONE.number

    again = account(word, team, "rg-web")

    assert again.exit_code == exits.REFUSED.number
    assert "rg-web already" in again.stderr


@pytest.mark.parametrize("word", ["add-user", "add-resource-group"])
def test_refuses_an_account_that_is_unknown(account, word):
    refused = account(word, "1", "rg-web")

    assert refused.exit_code == exits.REFUSED.number
    assert "there is no account 1" in refused.stderr


def test_says_that_the_master_key_is_another_ones(account, tmp_path):
    (tmp_path / "master.key").write_bytes(b"k" * 32)

    result = CliRunner(env={"KILN_DATA": str(tmp_path), "KILN_DATABASE": ""}).invoke(app, ["env"])

    assert result.exit_code == exits.FILE.number
    assert f"{tmp_path / 'master.key'}: a secret in the database was sealed with another master key" in result.stderr
    assert "Put this data folder's own master.key back" in result.stderr
    assert "`kiln account reset-keys` makes a new one" in result.stderr


def test_says_that_the_disk_is_full(tmp_path):
    with mounted("-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", tmp_path):
        a_rested_kiln(tmp_path)
        # As beside a service that runs: its log's index is there, so that reading goes on.
        service = open_sqlite(tmp_path / "kiln.sqlite")
        with service.read() as tx:
            tx.driver("SELECT count(*) FROM accounts", ()).fetchone()
        fill(tmp_path)

        result = CliRunner(env={"KILN_DATA": str(tmp_path), "KILN_DATABASE": ""}).invoke(app, ["account", "add", "ci"])

        service.close()
    assert result.exit_code == exits.FILE.number
    assert "disk is full" in result.stderr
    assert "make room" in result.stderr
