"""A browser before a Kiln: one of its own for who changes things, and one that those share who only look."""

from __future__ import annotations

import shutil

import pytest

from kiln.store.database import open_sqlite
from tests.clouds import OTHER, make_cloud
from tests.console.hostile import fill
from tests.console.window import open_window


@pytest.fixture
def window(tmp_path, sqlite):
    """A browser that has signed in, before an empty Kiln of its own."""
    with open_window(make_cloud(tmp_path, sqlite)) as browser:
        browser.sign_in()
        yield browser


@pytest.fixture(scope="session")
def shared(tmp_path_factory, sqlite_file):
    """A browser that has not signed in, before a Kiln whose every noun has one of a hostile name."""
    folder = tmp_path_factory.mktemp("console")
    opened = open_sqlite(shutil.copy(sqlite_file, folder / "kiln.sqlite"))
    cloud = make_cloud(folder, opened)
    with open_window(cloud) as browser:
        browser.ids = fill(cloud)
        yield browser
    opened.close()


@pytest.fixture
def looker(shared):
    """The owner of all that, signed in."""
    browser = shared.other()
    browser.sign_in()
    return browser


@pytest.fixture
def stranger(shared):
    """Another account, signed in at the same console."""
    browser = shared.other()
    browser.sign_in(OTHER)
    return browser
