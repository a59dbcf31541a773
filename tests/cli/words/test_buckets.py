from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from tests.rested import a_rested_kiln


@pytest.fixture
def kiln(tmp_path):
    """The words that lie beside a data folder, on one of their own."""
    a_rested_kiln(tmp_path)

    def run(*words: str):
        return CliRunner(env={"KILN_DATA": str(tmp_path), "KILN_DATABASE": ""}).invoke(app, list(words))

    return run


def listed(kiln):
    return json.loads(kiln("bucket", "list", "--json").stdout)


def test_gives_a_bucket_to_an_account_and_shares_it(kiln):
    team = json.loads(kiln("account", "add", "team-b", "--json").stdout)["Account"]
    assert listed(kiln) == []

    assert kiln("bucket", "give", "images", team).exit_code == exits.DONE.number
    assert listed(kiln) == [{"Bucket": "images", "Account": team, "Shared": "no"}]
    assert kiln("bucket", "share", "images").exit_code == exits.DONE.number
    assert listed(kiln) == [{"Bucket": "images", "Account": team, "Shared": "yes"}]
    assert kiln("bucket", "share", "images", "--off").exit_code == exits.DONE.number
    assert listed(kiln) == [{"Bucket": "images", "Account": team, "Shared": "no"}]


def test_refuses_an_account_that_is_unknown_and_a_name_that_is_none(kiln):
    unknown = kiln("bucket", "give", "images", "1")
    malformed = kiln("bucket", "share", "../images")

    assert (unknown.exit_code, malformed.exit_code) == (exits.REFUSED.number, exits.REFUSED.number)
    assert "there is no account 1" in unknown.stderr
    assert listed(kiln) == []


def test_makes_a_bucket_once_and_lists_it(tmp_path):
    a_rested_kiln(tmp_path)
    words = ["bucket", "create", "images", "--data", str(tmp_path)]

    made = CliRunner().invoke(app, words)
    again = CliRunner().invoke(app, words)

    assert made.stdout.strip() == str(tmp_path / "buckets" / "images")
    assert (tmp_path / "buckets" / "images").is_dir()
    assert again.exit_code == exits.REFUSED.number
    listed = CliRunner().invoke(app, ["bucket", "list", "--data", str(tmp_path), "-q"])
    assert listed.stdout.split() == ["images"]


@pytest.mark.parametrize("name", ["..", "a/b", "A", "-a", ""])
def test_makes_no_bucket_whose_name_is_none(tmp_path, name):
    a_rested_kiln(tmp_path)

    result = CliRunner().invoke(app, ["bucket", "create", "--data", str(tmp_path), "--", name])

    assert result.exit_code == exits.REFUSED.number
    assert "1 to 63 lower-case letters, digits and hyphens" in " ".join(result.stderr.split())
