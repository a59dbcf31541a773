"""Rules for host names and passwords."""

from __future__ import annotations

import base64
import gzip
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from kiln.operations.steps.guest_input import (
    Base64,
    InvalidHostNameMalformed,
    Raw,
    Strong,
    check_host_name,
    of_new_system,
)


@pytest.mark.parametrize(
    ("name", "os_type"),
    [("ab", "linux"), ("web-1.example.org", "linux"), ("x" * 64, "linux"), ("WEB-1", "windows"), ("x" * 15, "windows")],
)
def test_takes_host_names(name, os_type):
    check_host_name(name, os_type)


@pytest.mark.parametrize(
    ("name", "os_type"),
    [
        ("a", "linux"),
        ("x" * 65, "linux"),
        (".web", "linux"),
        ("web-", "linux"),
        ("a--b", "linux"),
        ("a.-b", "linux"),
        ("a_b", "linux"),
        ("a.b", "windows"),
        ("123", "windows"),
        ("x" * 16, "windows"),
    ],
)
def test_refuses_host_names(name, os_type):
    with pytest.raises(InvalidHostNameMalformed):
        check_host_name(name, os_type)


@pytest.mark.parametrize("password", ["EcsV587!", "abcDEF123", "abc123!!!", "A" * 10 + "b" * 10 + "1" * 10])
def test_takes_strong_passwords(password):
    assert Strong().allows(password)


@pytest.mark.parametrize("password", ["EcsV58!", "abcdefgh", "ABCD1234", "A" * 29 + "b1", "EcsV587! ", "EcsV587é!"])
def test_refuses_weak_passwords(password):
    assert not Strong().allows(password)


def test_takes_base64_in_lines():
    lines = base64.encodebytes(b"x" * 100).decode()

    assert Base64().allows(lines)
    assert Raw(100).allows(lines)
    assert not Raw(99).allows(lines)


def in_parts(*parts):
    """User data as ``cloud-init devel make-mime`` and Terraform's ``cloudinit_config`` write them: each in Base64."""
    whole = MIMEMultipart()
    for part in parts:
        whole.attach(MIMEApplication(part) if isinstance(part, bytes) else MIMEText(part, "cloud-config", "utf-8"))
    return whole.as_bytes()


QUOTED = b"""MIME-Version: 1.0
Content-Type: text/cloud-config
Content-Transfer-Encoding: quoted-printable

pass=
word: x
"""
ENDLESS = b"MIME-Version: 1.0\n" + b"Content-Type: multipart/mixed; boundary=a\n\n--a\n" * 600


@pytest.mark.parametrize(
    ("password", "inherit", "user_data", "due"),
    [
        ("", False, b"#!/bin/sh\ntouch /a", True),
        ("", True, b"", False),
        ("", False, b"#cloud-config\npassword: x", False),
        ("", False, b"#!/bin/sh\necho root:x | chpasswd", False),
        ("", False, b"\x1f\x8b\x08", False),
        ("sealed", False, b"#cloud-config\npassword: x", True),
        ("", False, in_parts("packages: [git]", "runcmd: [ls]"), True),
        ("", False, in_parts("packages: [git]", "password: x"), False),
        ("", False, in_parts("packages: [git]", gzip.compress(b"packages: []")), False),
        ("", False, QUOTED, False),
        ("", False, ENDLESS, False),
        ("", False, b" #include\nhttp://10.0.0.1/user-data", False),
    ],
)
def test_a_new_system_is_given_a_password_unless_it_has_one(password, inherit, user_data, due):
    given = of_new_system(password, base64.b64encode(user_data).decode(), inherit=inherit)

    assert given == {"password": password, "password_inherit": inherit, "password_due": due}


def test_user_data_that_is_no_base64_may_set_a_password():
    assert not of_new_system("", "a", inherit=False)["password_due"]
