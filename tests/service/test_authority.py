"""Kiln's own authority for TLS: made once, whatever happens meanwhile, and told apart from what is none."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kiln.service.authority import Authority
from kiln.service.claim import hold_data_folder
from kiln.service.datafolder import DataFolder
from kiln.service.errors import AuthorityBroken
from tests.pools.kills import killed_at, points_of

POINTS = ["authority.drafted", "authority.published"] * 2


def authority_in(folder):
    folder.mkdir(exist_ok=True)
    return Authority(DataFolder(folder))


def made_in(folder):
    made = authority_in(folder)
    made.make()
    made.check()
    return made.key_path.read_bytes(), made.path.read_bytes()


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


def test_is_made_once(tmp_path):
    assert made_in(tmp_path / "one") == made_in(tmp_path / "one")
    assert made_in(tmp_path / "one") != made_in(tmp_path / "other")
    assert files_of(tmp_path / "one") == ["ca.key", "ca.pem"]


def test_keeps_its_key_to_itself_and_shows_its_certificate(tmp_path):
    before = os.umask(0o077)
    try:
        made_in(tmp_path)
    finally:
        os.umask(before)

    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ca.key", "ca.pem")]
    assert modes == [0o600, 0o644]


def test_a_making_that_is_killed_at_any_point_is_gone_on_with(tmp_path):
    assert points_of(lambda: made_in(tmp_path / "whole")) == POINTS
    for number, point in enumerate(POINTS):
        folder = tmp_path / str(number)
        assert killed_at(number, lambda folder=folder: made_in(folder)), point
        key = folder / "ca.key"
        before = key.read_bytes() if key.exists() else None

        with hold_data_folder(folder):
            after = made_in(folder)

        assert before in (None, after[0]), point
        assert files_of(folder) == ["ca.key", "ca.pem", "lock"], point


def test_a_key_that_is_gone_is_not_made_anew(tmp_path):
    """Its certificate is what clients trust: they would refuse another, and nobody would know why."""
    made_in(tmp_path)
    (tmp_path / "ca.key").unlink()

    with pytest.raises(AuthorityBroken, match=r"ca\.key is not"):
        authority_in(tmp_path).make()

    assert files_of(tmp_path) == ["ca.pem"]


@pytest.mark.parametrize("name", ["ca.key", "ca.pem"])
@pytest.mark.parametrize("content", [b"", b"half", b"x" * 99_999, None], ids=["empty", "half", "long", "folder"])
def test_what_is_damaged_is_told_and_left(tmp_path, name, content):
    made_in(tmp_path)
    path = tmp_path / name
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)

    authority = authority_in(tmp_path)
    authority.make()
    with pytest.raises(AuthorityBroken, match=name):
        authority.check()

    assert path.is_dir() if content is None else path.read_bytes() == content


def test_a_key_and_a_certificate_of_two_authorities_are_told(tmp_path):
    for name in ("one", "other"):
        made_in(tmp_path / name)
    (tmp_path / "other/ca.key").write_bytes((tmp_path / "one/ca.key").read_bytes())

    with pytest.raises(AuthorityBroken, match="is not the certificate of"):
        authority_in(tmp_path / "other").check()


def pem_of(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_key_of_another_kind_is_told(tmp_path):
    made_in(tmp_path)
    (tmp_path / "ca.key").write_bytes(pem_of(rsa.generate_private_key(65537, 2048)))

    with pytest.raises(AuthorityBroken, match="a key of another kind"):
        authority_in(tmp_path).check()


def test_a_key_of_another_curve_will_do(tmp_path):
    (tmp_path / "ca.key").write_bytes(pem_of(ec.generate_private_key(ec.SECP384R1())))

    made_in(tmp_path)


def test_is_looked_at_without_what_makes_certificates(tmp_path):
    """That takes as long to load as a fifteenth of a start, and most Kilns are asked for no TLS."""
    made_in(tmp_path)
    program = (
        "import sys; from pathlib import Path; from kiln.service.authority import Authority; "
        "from kiln.service.datafolder import DataFolder; it = Authority(DataFolder(Path(sys.argv[1]))); "
        "it.make(); it.check(); print(*sys.modules)"
    )

    done = subprocess.run([sys.executable, "-P", "-c", program, tmp_path], check=True, capture_output=True, text=True)

    assert {"cryptography.x509", "kiln.service.signing"} & set(done.stdout.split()) == set()


def test_leaves_what_somebody_copied(tmp_path):
    made_in(tmp_path)
    (tmp_path / "ca.pem.bak").write_text("mine")

    made_in(tmp_path)

    assert (tmp_path / "ca.pem.bak").read_text() == "mine"
