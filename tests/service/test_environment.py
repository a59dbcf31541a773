"""What ``kiln env`` tells clients of the service that runs, whatever its own settings say."""

from __future__ import annotations

import pytest

from kiln.service.address import Address, tell, told
from kiln.service.environment import environment
from kiln.service.settings import read_settings
from tests.rested import a_rested_kiln
from tests.warm import start_kiln

_OWN = {"KILN_REGIONS": "cn-own", "KILN_LISTEN": "127.0.0.1:1"}
_REGIONS = ("KILN_REGION", "ALIBABA_CLOUD_REGION_ID", "ALICLOUD_REGION")


@pytest.mark.slow
def test_is_the_region_and_the_address_of_the_service(tmp_path):
    with start_kiln(tmp_path / "data", regions="cn-one,cn-two") as kiln:
        said = environment(read_settings(_OWN, data=kiln.data))

    assert {said[name] for name in _REGIONS} == {"cn-one"}
    assert said["KILN_ENDPOINT"] == kiln.endpoint
    assert environment(read_settings(_OWN, data=kiln.data)) == said  # Also once it has ended.


@pytest.mark.slow
def test_is_an_address_that_can_be_reached_where_the_service_listens_on_every_one(tmp_path):
    with start_kiln(tmp_path / "data", listen="0.0.0.0:0") as kiln:
        said = environment(read_settings({}, data=kiln.data))

    host, _, port = said["KILN_ENDPOINT"].removeprefix("http://").partition(":")
    assert host != "0.0.0.0"
    assert port == kiln.host.partition(":")[2]


def test_is_what_the_settings_say_before_a_service_said_anything(tmp_path):
    said = environment(read_settings(_OWN, data=a_rested_kiln(tmp_path)))

    assert {said[name] for name in _REGIONS} == {"cn-own"}
    assert said["KILN_ENDPOINT"] == "http://127.0.0.1:1"


def test_takes_back_a_token_that_was_left_in_the_shell(tmp_path):
    said = environment(read_settings(_OWN, data=a_rested_kiln(tmp_path)))

    assert {value for name, value in said.items() if name.endswith("SECURITY_TOKEN")} == {""}


@pytest.mark.parametrize(
    ("text", "endpoint", "regions"),
    [
        (None, "http://own", ("cn-own",)),
        ("", "http://own", ("cn-own",)),
        ("http://a:1\n", "http://a:1", ("cn-own",)),
        ("http://a:1\ncn-a,cn-b\n", "http://a:1", ("cn-a", "cn-b")),
        ("http://a:1\ncn-a\nof a later version\n", "http://a:1", ("cn-a",)),
    ],
)
def test_reads_what_older_and_newer_services_wrote(tmp_path, text, endpoint, regions):
    if text is not None:
        (tmp_path / "endpoint").write_text(text)

    assert told(tmp_path / "endpoint", Address("http://own", ("cn-own",))) == Address(endpoint, regions)


def test_a_service_that_cannot_write_it_goes_on(tmp_path):
    tell(tmp_path / "missing" / "endpoint", Address("http://a:1", ("cn-a",)))
    tell(tmp_path / "endpoint", Address("http://a:1", ("cn-a",)))

    assert told(tmp_path / "endpoint", Address("", ())) == Address("http://a:1", ("cn-a",))
    assert [path.name for path in tmp_path.iterdir()] == ["endpoint"]


@pytest.mark.postgresql
def test_names_the_database_and_the_file_of_its_password_for_words_beside_the_service(tmp_path, postgresql_address):
    file = tmp_path / "password"
    file.write_text("not asked for\n")
    settings = {"database": postgresql_address, "database_password_file": str(file)}
    with start_kiln(tmp_path / "data", **settings) as kiln:
        said = environment(read_settings({}, data=kiln.data, **settings))

    assert {name: said[name] for name in ("KILN_DATABASE", "KILN_DATABASE_PASSWORD_FILE")} == {
        "KILN_DATABASE": postgresql_address,
        "KILN_DATABASE_PASSWORD_FILE": str(file),
    }
    assert "KILN_DATABASE" not in environment(read_settings({}, data=a_rested_kiln(tmp_path / "other")))
