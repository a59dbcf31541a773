"""Kilns that cannot work with the PostgreSQL server that they are given: each says why, and none says a password."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import closing

import pytest

from kiln.store.conninfo import Server
from kiln.store.database import open_postgresql
from tests import warm
from tests.postgresql import server_made
from tests.tools import needs

pytestmark = pytest.mark.postgresql

PASSWORD = "s3cret-of-the-database"

_RULES = """local   all      kiln  trust
hostssl all      all   127.0.0.1/32 scram-sha-256
hostnossl plain  all   127.0.0.1/32 scram-sha-256
"""


@pytest.fixture(scope="module")
def guarded():
    """A server that listens, wants a password of whoever comes by TCP, and TLS but for one database."""
    needs("openssl")
    with server_made(listens=True) as server:
        server.certify()
        (server.data / "pg_hba.conf").write_text(_RULES)
        server.start()
        server.say(
            f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'",
            "CREATE DATABASE app OWNER app",
            "CREATE DATABASE plain OWNER app",
            "CREATE DATABASE closed",
            "CREATE DATABASE latin OWNER app ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        )
        yield server


def address(server, name="app", *, more=""):
    return f"postgresql://app@localhost:{server.port}/{name}?hostaddr=127.0.0.1{more}"


def refused(tmp_path, address, **settings):
    """What ``kiln serve`` says, which ends at once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KILN_", "PG"))}
    named = {"database": address, "data": tmp_path / "data", "listen": "127.0.0.1:0", "machines": "none", **settings}
    ended = warm.kiln("serve", env=kept | {f"KILN_{name.upper()}": str(value) for name, value in named.items()})
    assert ended.returncode in (3, 9), ended.stderr
    assert PASSWORD not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data" / "pool").exists()
    return " ".join(ended.stderr.split())


def test_a_wrong_host_a_wrong_password_and_a_missing_database_are_told_apart(guarded, tmp_path):
    password = {"database_password": PASSWORD}
    assert "failed to resolve host" in refused(tmp_path, "postgresql://app@no.such.host.invalid/app")
    assert "refused" in refused(tmp_path, "postgresql://app@127.0.0.1:1/app", **password)
    assert "password authentication failed" in refused(tmp_path, address(guarded), database_password="another")
    assert 'database "none" does not exist' in refused(tmp_path, address(guarded, "none"), **password)
    file = tmp_path / "no-such-file"
    assert f"{file}: No such file" in refused(tmp_path, address(guarded), database_password_file=file)


def test_what_the_user_may_not_do_is_told(guarded, tmp_path):
    said = refused(tmp_path, address(guarded, "closed"), database_password=PASSWORD)
    assert "the user app may make no tables: `GRANT CREATE ON SCHEMA public TO app`" in said


def test_another_encoding_is_refused(guarded, tmp_path):
    said = refused(tmp_path, address(guarded, "latin"), database_password=PASSWORD)
    assert "the database's encoding is LATIN1" in said


def test_a_read_only_server_is_refused(guarded, tmp_path):
    guarded.say("ALTER DATABASE app SET default_transaction_read_only = on")
    try:
        assert "session is read-only" in refused(tmp_path, address(guarded), database_password=PASSWORD)
    finally:
        guarded.say("ALTER DATABASE app RESET default_transaction_read_only")


def test_tls_is_wanted_by_either_side(guarded, tmp_path):
    certificate = guarded.data / "server.crt"
    readable = shutil.copy(certificate, tmp_path / "ca.pem")
    password = {"database_password": PASSWORD}
    assert "no encryption" in refused(tmp_path, address(guarded, more="&sslmode=disable"), **password)
    stranger = f"&sslmode=verify-full&sslrootcert={tmp_path / 'none.pem'}"
    assert "none.pem" in refused(tmp_path, address(guarded, more=stranger), **password)
    (tmp_path / "other.pem").write_text("")
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other"
    words = ["openssl", *made.split(), "-keyout", tmp_path / "key", "-out", tmp_path / "other.pem"]
    subprocess.run(words, check=True, capture_output=True)
    stranger = f"&sslmode=verify-full&sslrootcert={tmp_path / 'other.pem'}"
    assert "certificate verify failed" in refused(tmp_path, address(guarded, more=stranger), **password)
    known = address(guarded, more=f"&sslmode=verify-full&sslrootcert={readable}")
    database = open_postgresql(Server(address=known, password=PASSWORD))
    with closing(database), database.read() as tx:
        assert tx.driver("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", {}).fetchone() == (True,)


def test_a_password_in_a_file_opens_it_and_is_in_no_log_and_no_list_of_processes(guarded, tmp_path):
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    settings = {"database": address(guarded, "plain"), "database_password_file": file, "log": "debug"}
    with warm.start_kiln(tmp_path / "data", **settings) as kiln:
        kiln.restart()
        assert PASSWORD not in kiln.log.read_text()
    database = open_postgresql(Server(address=address(guarded, "plain"), password_file=str(file)))
    with closing(database), database.read() as tx:
        assert tx.driver("SELECT count(*) FROM deployment", {}).fetchone() == (1,)


def test_a_password_as_a_flag_is_refused_and_not_repeated(tmp_path):
    words = ["serve", "--data", tmp_path / "data", "--database", f"postgresql://app:{PASSWORD}@127.0.0.1/app"]
    ended = warm.kiln(*words)
    assert ended.returncode == 3
    assert "KILN_DATABASE_PASSWORD_FILE" in ended.stderr
    assert PASSWORD not in ended.stderr
