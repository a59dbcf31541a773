from __future__ import annotations

import json
import time
from contextlib import closing

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.client.client import ApiFailure, Client
from tests.rested import a_rested_kiln
from tests.warm import start_kiln


@pytest.fixture
def account(tmp_path):
    """The words of ``kiln account``, on a data folder of their own."""
    a_rested_kiln(tmp_path)
    return words_on(tmp_path)


def words_on(data):
    def run(*words: str):
        return CliRunner(env={"KILN_DATA": str(data), "KILN_DATABASE": ""}).invoke(app, ["account", *words])

    return run


def keys_of(account):
    return json.loads(account("keys", "list", "--json").stdout)


def test_lists_keys_and_no_secrets(account):
    first = keys_of(account)
    made = json.loads(account("keys", "add", first[0]["Account"], "--json").stdout)

    listed = account("keys", "list", first[0]["Account"])

    assert [one["Kind"] for one in first] == ["AccessKey", "App"]
    assert {one["State"] for one in first} == {"active"}
    assert made["AccessKeyId"] in listed.stdout
    assert made["AccessKeySecret"] not in listed.stdout
    assert len(keys_of(account)) == 3


@pytest.mark.parametrize("number", [0, 1])
def test_rotates_and_says_how_the_old_one_ends(account, number):
    old = keys_of(account)[number]["Id"]

    rotated = account("keys", "rotate", old, "--json")

    made = json.loads(rotated.stdout)
    assert f"{old} goes on until `kiln account keys disable {old}`" in rotated.stderr
    assert account("keys", "disable", old).exit_code == exits.DONE.number
    states = {one["Id"]: one["State"] for one in keys_of(account)}
    assert (states[old], states[made.get("AccessKeyId") or made["AppKey"]]) == ("disabled", "active")
    assert account("keys", "delete", old).exit_code == exits.DONE.number
    assert old not in {one["Id"] for one in keys_of(account)}


def test_ends_the_old_one_at_once_when_that_is_asked_for(account):
    old = keys_of(account)[0]["Id"]

    rotated = account("keys", "rotate", old, "--disable-old")

    assert "is disabled" in rotated.stderr
    assert {one["Id"]: one["State"] for one in keys_of(account)}[old] == "disabled"


def test_says_that_nobody_comes_in_any_more_and_env_says_what_to_do(account, tmp_path):
    first = keys_of(account)[0]

    off = account("keys", "disable", first["Id"])
    env = CliRunner(env={"KILN_DATA": str(tmp_path)}).invoke(app, ["env"])

    assert f"the last AccessKey of account {first['Account']}" in off.stderr
    assert env.exit_code == exits.SETTINGS.number
    assert f"every AccessKey of account {first['Account']} is disabled" in env.stderr
    assert "`kiln account keys add ACCOUNT` makes another" in env.stderr
    assert account("keys", "enable", first["Id"]).exit_code == exits.DONE.number
    assert CliRunner(env={"KILN_DATA": str(tmp_path)}).invoke(app, ["env"]).exit_code == exits.DONE.number


@pytest.mark.parametrize("word", ["disable", "enable", "rotate", "delete"])
def test_refuses_a_key_that_is_unknown(account, word):
    refused = account("keys", word, "nobody")

    assert refused.exit_code == exits.REFUSED.number
    assert "there is no key nobody" in refused.stderr
    assert "`kiln account keys list`" in refused.stderr


def test_refuses_an_account_that_is_unknown(account):
    for words in (["add", "1"], ["list", "1"]):
        refused = account("keys", *words)
        assert refused.exit_code == exits.REFUSED.number
        assert "there is no account 1" in refused.stderr


def test_refuses_to_remove_one_that_is_active(account):
    refused = account("keys", "delete", keys_of(account)[0]["Id"])

    assert refused.exit_code == exits.REFUSED.number
    assert "is active: switch it off first" in refused.stderr


def test_resets_every_key_once_the_master_key_is_lost(account, tmp_path):
    before = keys_of(account)
    (tmp_path / "master.key").unlink()
    refused = CliRunner(env={"KILN_DATA": str(tmp_path)}).invoke(app, ["env"])
    assert "`kiln account reset-keys` makes a new one" in refused.stderr

    reset = account("reset-keys", "--json")

    told = json.loads(reset.stdout)
    assert [one["Id"] for one in told["Keys"]] == [one["Id"] for one in before]
    assert (told["PasswordsForgotten"], told["MasterKeyKept"]) == ([], None)
    env = CliRunner(env={"KILN_DATA": str(tmp_path)}).invoke(app, ["env"]).stdout
    assert f"export KILN_ACCESS_KEY_SECRET={told['Keys'][0]['Secret']}\n" in env


def test_resets_and_says_where_the_master_key_of_before_is(account, tmp_path):
    (tmp_path / "master.key").write_bytes(b"half")

    reset = account("reset-keys")

    assert reset.exit_code == exits.DONE.number
    assert f"the master key of before is kept in {tmp_path / 'master.key.before-1'}" in reset.stderr
    assert (tmp_path / "master.key.before-1").read_bytes() == b"half"
    assert "Secret  " in reset.stdout


def test_resets_nothing_where_no_kiln_has_run(tmp_path):
    refused = words_on(tmp_path / "empty")("reset-keys")

    assert refused.exit_code == exits.FILE.number
    assert not (tmp_path / "empty").exists()


@pytest.mark.slow
def test_works_beside_a_service_that_runs_and_resetting_does_not(tmp_path):
    with start_kiln(tmp_path / "data") as kiln:
        account = words_on(kiln.data)
        made = json.loads(account("keys", "rotate", kiln.access_key_id, "--json").stdout)
        old = Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)
        new = Client(kiln.endpoint, made["AccessKeyId"], made["AccessKeySecret"], kiln.region)
        with closing(old), closing(new):
            for client in (old, new):
                client.call("DescribeRegions", {})
            account("keys", "disable", kiln.access_key_id)
            deadline = time.monotonic() + 300
            while not is_refused(old):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            new.call("DescribeRegions", {})

        assert account("reset-keys").exit_code == exits.SETTINGS.number
        kiln.restart()
        assert f"{kiln.access_key_id}, which the settings name, is switched off" in kiln.log.read_text()
        assert made["AccessKeySecret"] not in kiln.log.read_text()
        with closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client:
            assert is_refused(client)


def is_refused(client):
    try:
        client.call("DescribeRegions", {})
    except ApiFailure as failure:
        return failure.code == "InvalidAccessKeyId.Inactive"
    return False
