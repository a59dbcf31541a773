"""Ceph's modules for Python come from the distribution, and no others do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kiln.pools.errors import ToolFailed
from kiln.pools.rbd import binding
from tests.tools import lacks


def test_loads_ceph_s_modules_and_nothing_else_of_the_distribution():
    if not list(Path("/usr/lib/python3/dist-packages").glob("rbd.*.so")):
        lacks("python3-rbd")
    program = (
        "import json, sys; from kiln.pools.rbd.binding import load; before = set(sys.path); rados, rbd = load(); "
        "print(json.dumps([rados.__name__, rbd.RBD.__name__, before == set(sys.path), "
        "[name for name, one in sys.modules.items() if 'dist-packages' in (getattr(one, '__file__', '') or '')]]))"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    *found, theirs = json.loads(done.stdout)
    assert found == ["rados", "RBD", True]
    assert sorted(theirs) == ["rados", "rbd"]


def test_says_what_to_install_where_they_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(binding, "DISTRIBUTION", str(tmp_path))
    monkeypatch.delitem(sys.modules, "rados", raising=False)

    with pytest.raises(ToolFailed, match=r"python3-rados.* the Python of the same distribution"):
        binding.load()


def test_says_so_where_they_are_there_and_cannot_be_loaded(monkeypatch, tmp_path):
    (tmp_path / "rados.py").write_text("raise ImportError('librados.so.2: cannot open shared object file')")
    monkeypatch.setattr(binding, "DISTRIBUTION", str(tmp_path))
    monkeypatch.delitem(sys.modules, "rados", raising=False)

    with pytest.raises(ToolFailed, match=r"librados\.so\.2"):
        binding.load()

    assert "rados" not in sys.modules
