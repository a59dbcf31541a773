"""How QEMU is told the way to a Ceph."""

from __future__ import annotations

import pytest

from kiln.pools.rbd.entrances import Address, found, monitors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[v2:127.0.0.1:3300,v1:127.0.0.1:6789]", [("127.0.0.1", "3300")]),
        ("[v2:127.0.0.1:3300/0,v1:127.0.0.1:6789/0],[v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0]",
         [("127.0.0.1", "3300"), ("10.0.0.2", "3300")]),
        ("[v1:127.0.0.1:6789,v2:127.0.0.1:3300]", [("127.0.0.1", "3300")]),
        ("[v2:[fd00::1]:3300,v1:[fd00::1]:6789] 10.0.0.2:6789", [("fd00::1", "3300"), ("10.0.0.2", "6789")]),
        ("10.0.0.1:6789, mon.example.com:6789", [("10.0.0.1", "6789"), ("mon.example.com", "6789")]),
        ("mon.example.com", []),
        ("10.0.0.1:6789,mon", []),
        ("", []),
    ],
)  # fmt: skip
def test_reads_where_monitors_are(text, expected):
    assert monitors(text) == [{"host": host, "port": port} for host, port in expected]


class Configured:
    """A cluster, as far as it is asked for its configuration."""

    def __init__(self, **settings):
        self._settings = settings

    def conf_get(self, name):
        return self._settings.get(name, "")


def test_tells_the_key_of_the_first_keyring_that_has_it(tmp_path):
    for name, text in (
        ("bad", "nonsense"),
        ("others", "[client.other]\nkey = x\n"),
        ("ours", "[client.kiln]\n\tkey = QQ==\n"),
    ):
        (tmp_path / name).write_text(text)
    keyrings = ",".join(str(tmp_path / name) for name in ("missing", "bad", "others", "ours"))
    cluster = Configured(mon_host="10.0.0.1:6789", auth_client_required="cephx", keyring=keyrings)

    told = found(cluster, Address(pool="kiln", user="kiln"))

    assert told["key-secret"] == "ceph-kiln"
    assert (told["key-secret"].text, told["key-secret"].form) == ("QQ==", "base64")
    assert told["auth-client-required"] == ["cephx"]


def test_tells_no_key_where_none_is_needed(tmp_path):
    cluster = Configured(mon_host="10.0.0.1:6789", auth_client_required="none", key="QQ==")

    assert found(cluster, Address(pool="kiln")) == {"server": [{"host": "10.0.0.1", "port": "6789"}]}


def test_names_the_file_where_the_monitors_are_named_in_another_way(tmp_path):
    cluster = Configured(mon_host="mon", key="QQ==")

    assert found(cluster, Address(pool="kiln", configuration=tmp_path / "ceph.conf")) == {
        "conf": str(tmp_path / "ceph.conf")
    }
    assert found(cluster, Address(pool="kiln")) == {}
