"""The page of formats names everything that is written to disk."""

from __future__ import annotations

import re
from fnmatch import fnmatch

import pytest

from tests.docs.pages import ROOT
from tests.upgrade.folders import VERSIONS, unpack

PAGE = (ROOT / "docs" / "internals" / "formats.md").read_text()
SOURCE = ROOT / "src" / "kiln"

_WRITES = re.compile(r"write_text\(|write_bytes\(|O_CREAT|\.touch\(|pwrite\(|symlink_to\(|\.open\(\"(?:[wax]|r\+)")


def test_names_every_module_that_writes_files():
    writing = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if _WRITES.search(path.read_text())}

    assert writing - set(re.findall(r"`([a-z_/]+\.py)`", PAGE)) == set()


@pytest.mark.parametrize("version", VERSIONS)
def test_names_every_file_of_a_data_folder(version, tmp_path):
    unpack(version, tmp_path)
    patterns = [re.sub("<[a-z]+>", "*", name) for name in re.findall(r"`([^`]+)`", PAGE)]

    files = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()]

    assert [name for name in files if not any(fnmatch(name, pattern) for pattern in patterns)] == []
