"""A damaged database is refused before anything is decided by it, and is left as it was."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.service.assemble import assemble
from kiln.service.databases import require_whole
from kiln.service.errors import DatabaseDamaged, DatabaseUnusable
from kiln.store.tags import Tag, tags
from tests.service.pairs import Home


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "kiln")
    with home.started() as it:
        for key in range(30):
            tag = Tag(account="1", resource_type="image", resource=f"m-{key}", key=f"k{key}", value="v" * 200)
            it.database.write(lambda tx, tag=tag: tags.insert(tx, tag))
    checkpoint(home)
    return home


def checkpoint(home):
    with closing(sqlite3.connect(home.sqlite)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def pages(home):
    with closing(sqlite3.connect(home.sqlite)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    whole = home.sqlite.read_bytes()
    return size, [whole[at : at + size] for at in range(0, len(whole), size)]


def test_passes_a_whole_one_and_one_that_is_not_there(home, tmp_path):
    require_whole(home.settings)
    require_whole(Home(tmp_path / "nothing").settings)

    assert not (tmp_path / "nothing").exists()


def test_refuses_every_page_that_is_zeroed_torn_or_random(home):
    size, good = pages(home)
    lots = random.Random(8)
    whole = b"".join(good)
    for number, page in enumerate(good):
        for bad in (bytes(size), page[: size // 2] + lots.randbytes(size // 2), lots.randbytes(size)):
            if bad == page:
                continue
            home.sqlite.write_bytes(whole[: number * size] + bad + whole[(number + 1) * size :])
            if not is_told(home):
                # Then nothing may be lost by it: SQLite reads every row as before.
                assert rows(home) == 30, number


def is_told(home):
    try:
        require_whole(home.settings)
    except (DatabaseDamaged, DatabaseUnusable):
        return True
    return False


def rows(home):
    with closing(sqlite3.connect(home.sqlite)) as connection:
        return connection.execute("SELECT count(*) FROM tags NOT INDEXED").fetchone()[0]


def make_an_index_older(home):
    """The page of an index of the disks is as it was before the last disk."""
    _, before = pages(home)
    with closing(sqlite3.connect(home.sqlite)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'disks_volume'").fetchone()
        columns = connection.execute("PRAGMA table_info(disks)").fetchall()
        needed = [(c[1], 0 if c[2] in ("INTEGER", "BIGINT", "FLOAT", "BOOLEAN") else "x") for c in columns if c[3]]
        given = dict(needed) | {"id": "d-1", "volume": "v-1"}
        marks = ", ".join("?" * len(given))
        connection.execute(f"INSERT INTO disks ({', '.join(given)}) VALUES ({marks})", list(given.values()))
        connection.commit()
    checkpoint(home)
    _, after = pages(home)
    assert after[root - 1] != before[root - 1]
    after[root - 1] = before[root - 1]
    home.sqlite.write_bytes(b"".join(after))


def test_refuses_an_index_older_than_its_table_and_changes_nothing(home):
    make_an_index_older(home)
    content = home.content()

    with pytest.raises(DatabaseDamaged, match="disks_volume"), assemble(home.settings):
        pass

    assert home.content() == content


@pytest.mark.parametrize(
    ("words", "is_refused"),
    [
        (["account", "list"], False),
        (["bucket", "list"], False),
        (["trash", "list"], False),
        (["trash", "empty"], True),
        (["trash", "restore", "m-1"], True),
        (["fsck", "--no-repair"], True),
        (["fsck"], True),
    ],
)
def test_only_words_that_delete_nothing_go_by_the_quick_check(home, words, is_refused):
    make_an_index_older(home)

    result = CliRunner(env={"KILN_DATA": "", "KILN_DATABASE": ""}).invoke(app, [*words, "--data", str(home.data)])

    assert (result.exit_code == exits.UNSOUND.number) == is_refused, result.output
    assert result.exit_code in (exits.DONE.number, exits.UNSOUND.number)
    assert ("disks_volume" in result.stderr) == is_refused
