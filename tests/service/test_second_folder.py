"""A second data folder, served in a shell that was set up for clients of another one."""

from __future__ import annotations

from contextlib import closing

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.client.client import ApiFailure, Client
from kiln.service.accounts import ensure_first_account
from kiln.service.environment import environment
from kiln.service.secrets import Sealer
from kiln.service.settings import read_settings
from kiln.store import accounts as rows
from tests.rested import a_rested_kiln
from tests.warm import start_kiln

_CLIENTS = ("KILN_ACCESS_KEY_ID", "KILN_ACCESS_KEY_SECRET", "KILN_APP_KEY", "KILN_APP_SECRET")


def test_does_not_take_over_the_keys_of_the_first(database, tmp_path):
    of_first = environment(read_settings({}, data=a_rested_kiln(tmp_path / "first")))
    settings = read_settings(of_first, data=tmp_path)

    sealer = Sealer.in_folder(tmp_path)
    sealer.make_key()

    keys = ensure_first_account(database, sealer, settings, 1.0)

    assert keys.are_new
    with database.read() as tx:
        assert {row.id for row in rows.credentials.all(tx)} == {keys.access_key_id, keys.app_key}
    assert not {of_first[name] for name in _CLIENTS} & {keys.access_key_id, keys.app_key}


@pytest.mark.slow
def test_does_not_let_the_first_ones_clients_in(tmp_path):
    of_first = environment(read_settings({}, data=a_rested_kiln(tmp_path / "first")))
    as_settings = {name.removeprefix("KILN_").lower(): of_first[name] for name in (*_CLIENTS, "KILN_REGION")}

    with start_kiln(tmp_path / "second", **as_settings) as kiln:
        pair = of_first["KILN_ACCESS_KEY_ID"], of_first["KILN_ACCESS_KEY_SECRET"]
        with (
            closing(Client(kiln.endpoint, *pair, kiln.region)) as client,
            pytest.raises(ApiFailure, match=r"InvalidAccessKeyId\.NotFound"),
        ):
            client.call("DescribeRegions", {})


@pytest.mark.slow
def test_is_the_first_one_while_the_shell_names_that_and_is_refused_then(tmp_path):
    with start_kiln(tmp_path / "first") as kiln:
        shell = {"KILN_DATA": str(kiln.data), "KILN_ENDPOINT": kiln.endpoint, "KILN_REGION": kiln.region}

        result = CliRunner(env=shell).invoke(app, ["serve", "--listen", "127.0.0.1:0", "--machines", "none"])

    assert result.exit_code == exits.SETTINGS.number
    assert "another Kiln works in" in result.stderr
