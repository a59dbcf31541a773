"""The address of a server: what libpq is told, and that nothing which could be a password is repeated."""

from __future__ import annotations

import pytest

from kiln.store.conninfo import AddressRefused, Server, has_password, parsed, secrets_in, server_of
from kiln.store.errors import DatabaseDown


def test_an_address_has_bounds_of_its_own_accord():
    told = server_of("postgresql://kiln@db.example/kiln").parameters()

    assert (told["host"], told["user"], told["dbname"]) == ("db.example", "kiln", "kiln")
    assert (told["connect_timeout"], told["target_session_attrs"]) == (10, "read-write")
    assert "-c statement_timeout=30000 -c lock_timeout=10000" in told["options"]


def test_what_stands_in_the_address_wins():
    address = "postgres://kiln@/kiln?connect_timeout=3&target_session_attrs=any&options=-c%20lock_timeout%3D7"
    told = Server(address=address, statement_s=0).parameters()

    assert (told["connect_timeout"], told["target_session_attrs"]) == ("3", "any")
    assert "statement_timeout=0" in told["options"]
    assert told["options"].endswith("-c lock_timeout=7")


def test_several_hosts_are_libpqs():
    server = server_of("postgresql://kiln@one:5432,two:5433/kiln?sslmode=verify-full")

    told = server.parameters()

    assert (told["host"], told["port"], told["sslmode"]) == ("one,two", "5432,5433", "verify-full")
    assert server.shown == "postgresql://one:5432,two:5433/kiln"
    assert server_of("postgresql:///kiln?host=one,two&port=5433").shown == "postgresql://one:5433,two:5433/kiln"


def test_the_file_of_the_password_is_read_each_time(tmp_path):
    file = tmp_path / "password"
    server = Server(address="postgresql://kiln@/kiln", password_file=str(file))
    with pytest.raises(DatabaseDown, match="cannot be read"):
        server.parameters()
    for password in ("one", " two "):
        for end in ("\n", "\r\n"):
            file.write_bytes(f"{password}{end}more".encode())
            assert server.parameters()["password"] == password


def test_nothing_that_opens_it_is_shown():
    server = Server(address="postgresql://kiln:s3cret@db/kiln?sslpassword=other", password="third")

    assert server.shown == "postgresql://db/kiln"
    assert not any(secret in repr(server) for secret in ("s3cret", "other", "third"))
    assert secrets_in(server.address) == {"s3cret", "other"}


@pytest.mark.parametrize(
    "address",
    [
        "mysql://kiln:s3cret@db/kiln",
        "kiln:s3cret@db",
        "postgresql://kiln:s3cret/more@db/kiln",
        "postgresql://kiln:12/s3cret@db/kiln",
        "postgresql://kiln:%zzs3cret@db/kiln",
        "postgresql://db/kiln?password=s3cret%zz",
        "postgresql://kiln@db/kiln?passwort=x",
        "postgresql://kiln@db:port/kiln",
    ],
)
def test_refuses_what_is_no_address_and_repeats_no_secret(address):
    with pytest.raises(AddressRefused) as refused:
        parsed(address)

    assert "s3cret" not in str(refused.value)
    assert has_password(address) == ("s3cret" in address and "://" in address)


@pytest.mark.parametrize("password", ["s3cret?more=1", "[s3cret"])
def test_a_password_that_libpq_understands_is_one(password):
    assert parsed(f"postgresql://kiln:{password}@db/kiln")["password"] == password


def test_an_unknown_parameter_is_named():
    with pytest.raises(AddressRefused, match='invalid URI query parameter: "sslmod"'):
        parsed("postgresql://kiln:s3cret@db/kiln?sslmod=require")
