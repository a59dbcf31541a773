"""Settings: flags before the environment before defaults, and what they cannot be."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kiln.service.errors import SettingRefused
from kiln.service.settings import OF_ROOT, described, read_settings


def test_have_defaults():
    settings = read_settings({"HOME": "/home/x", "XDG_DATA_HOME": "/srv/data", "XDG_CACHE_HOME": "/srv/cache"})

    assert settings.data == Path("/srv/data/kiln")
    assert settings.cache == Path("/srv/cache/kiln")
    assert settings.address == ("127.0.0.1", 8787)
    assert settings.region_ids[0] == "cn-qingdao-env17-d01"
    assert {"cn-hangzhou", "cn-beijing", "ap-southeast-1", "us-east-1"} < set(settings.region_ids)
    assert settings.machines == "qemu"


def test_come_from_the_environment_and_flags_win():
    environment = {"KILN_DATA": "/a", "KILN_LISTEN": "127.0.0.1:1", "KILN_REGIONS": "cn-hangzhou, cn-beijing"}

    settings = read_settings(environment, data="/b", listen=None)

    assert settings.data == Path("/b")
    assert settings.address == ("127.0.0.1", 1)
    assert settings.region_ids == ("cn-hangzhou", "cn-beijing")


def test_read_an_address_of_the_sixth_version():
    assert read_settings({}, data="/a", listen="[::1]:8787").address == ("::1", 8787)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "8787"),
        ("listen", "127.0.0.1:port"),
        ("listen", "127.0.0.1:70000"),
        ("machines", "vmware"),
        ("database", "mysql://x"),
        ("database", "postgresql://kiln@db/kiln?sslmod=require"),
        ("database_connections", "0"),
        ("database_connect_timeout", "soon"),
        ("database_statement_timeout", "-1"),
        ("database_lock_timeout", "1"),
        ("pool", "ceph:kiln"),
        ("pool", "rbd:"),
        ("pool", "rbd:kiln/one/two"),
        ("pool", "rbd:kiln@snapshot"),
        ("accel", "xen"),
        ("guest_network", "ajar"),
        ("way_out", "everywhere"),
        ("way_out", "public,10.0.0.1/8"),
        ("way_out_for", "some"),
        ("tunnel_address", "worker-1"),
        ("tunnel_address", "10.0.0.1:80"),
        ("tunnel_address", "::1"),
        ("log", "loud"),
        ("names", "*"),
        ("names", "ecs.example.com,http://sts.example.com"),
        ("public_network", "127.64.0.0"),
        ("public_network", "127.64.0.1/10"),
        ("public_network", "::/64"),
        ("public_network", "127.64.0.0/31"),
        ("regions", " , "),
        ("regions", "CN-Hangzhou"),
        ("regions", "cn_hangzhou"),
        ("regions", "cn-hangzhou;cn-beijing"),
        ("regions", "cn-hangzhou cn-beijing"),
        ("regions", "cn--hangzhou"),
        ("regions", "-cn"),
        ("regions", "../etc"),
        ("regions", "a" * 51),
        ("regions", "cn-杭州"),
        ("regions", "cn-hangzhou,cn-beijing,cn-hangzhou"),
        ("threads", "0"),
        ("workers", "some"),
        ("server_access_key_id", "AKID"),
        ("server_app_secret", "S"),
    ],
)
def test_refuse_what_they_cannot_be_and_name_it(name, value):
    with pytest.raises(SettingRefused, match=name):
        read_settings({"KILN_DATA": "/a", f"KILN_{name.upper()}": value})


def test_refuse_a_password_that_everybody_sees():
    address = "postgresql://kiln:s3cret@db/kiln"
    with pytest.raises(SettingRefused, match="KILN_DATABASE_PASSWORD_FILE") as refused:
        read_settings({}, data="/a", database=address)
    assert "s3cret" not in str(refused.value)
    assert read_settings({"KILN_DATABASE": address}, data="/a").server.parameters()["password"] == "s3cret"


def test_refuse_two_passwords_of_one_database():
    named = {"KILN_DATABASE": "postgresql://kiln@db/kiln", "KILN_DATABASE_PASSWORD": "s3cret"}
    assert read_settings(named, data="/a").server.parameters()["password"] == "s3cret"
    with pytest.raises(SettingRefused, match="named twice"):
        read_settings(named | {"KILN_DATABASE_PASSWORD_FILE": "/a/password"}, data="/a")
    with pytest.raises(SettingRefused, match="named twice"):
        read_settings(named | {"KILN_DATABASE": "postgresql://kiln:other@db/kiln"}, data="/a")


@pytest.mark.parametrize("environment", [{"XDG_DATA_HOME": "/srv", "XDG_CACHE_HOME": "/srv"}, {}])
def test_are_described_with_the_defaults_that_they_have(environment, monkeypatch):
    """Where a default depends on the environment both possibilities are named; of who is not root here."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    settings = read_settings(environment)

    for name, setting in described().items():
        if name == "regions":
            assert setting.default.startswith(f"{settings.region_ids[0]}, then the usual regions")
            continue
        shown = re.sub(
            r"^\$(\w+)(\S*), else ~(\S+?)(?:; for root .*)?$",
            lambda m: _either(environment, *m.groups()),
            setting.default,
        )
        value = getattr(settings, name)
        assert shown == ("" if value is None else str(value))


def test_take_an_empty_shared_folder_for_none():
    assert read_settings({"KILN_SHARED": ""}, data="/a").folder.pool == Path("/a/pool")
    assert read_settings({}, data="/a", shared="").folder.pool == Path("/a/pool")
    assert read_settings({"KILN_SHARED": "/s"}, data="/a").folder.pool == Path("/s/pool")


def test_keep_the_data_of_root_where_the_users_of_machines_can_pass(tmp_path, monkeypatch):
    """Root's home is closed: with the data in it no machine could start. What is there already stays in use."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert read_settings({}).data == OF_ROOT
    assert read_settings({"XDG_DATA_HOME": "/srv"}).data == Path("/srv/kiln")
    assert str(OF_ROOT) in described()["data"].default

    (tmp_path / ".local/share/kiln").mkdir(parents=True)
    assert read_settings({}).data == tmp_path / ".local/share/kiln"


def test_keep_the_data_of_others_in_their_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert read_settings({}).data == tmp_path / ".local/share/kiln"


def _either(environment, variable, below, at_home):
    return environment[variable] + below if variable in environment else f"{Path.home()}{at_home}"
