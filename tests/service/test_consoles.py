"""The console beside the API: by which names it answers, and when it has a link to give."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import replace

import pytest

from kiln.console.sessions import MemorySessions
from kiln.ground.clock import system_clock
from kiln.service.accounts import Keys
from kiln.service.consoles import own_console
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings

KEYS = Keys(account="1", access_key_id="k", access_key_secret="s", app_key="", app_secret="", are_new=False)


@pytest.fixture
def listening(tmp_path):
    def at(address: str, **settings: str):
        with closing(socket.create_server((address, 0))) as listener:
            told = Settings(data=tmp_path, cache=tmp_path, **settings)
            return own_console(told, listener, Sealer.in_folder(tmp_path), MemorySessions(system_clock))

    return at


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("127.0.0.1", True),
        ("kiln.lan", True),
        ("a.example.com", True),
        ("ecs.example.net", True),
        ("example.com", False),
        ("ecs.aliyuncs.com", False),
    ],
)
def test_answers_by_the_names_that_the_operator_gave(listening, host, is_known):
    console = listening("127.0.0.1", names="kiln.lan,*.example.com", public_endpoint="ecs.example.net:443")

    assert console.place.hosts.knows(host) is is_known


def test_gives_a_link_on_the_loopback_alone_and_to_keys_alone(listening):
    assert listening("127.0.0.1").link(KEYS).startswith("/console/enter?token=")
    assert listening("0.0.0.0").link(KEYS) == ""
    assert listening("127.0.0.1").link(replace(KEYS, access_key_id="")) == ""
