"""Engines whose programs are not there; that they start and keep what they are told, everybody shows who uses them."""

from __future__ import annotations

import pytest

from kiln.service.engines.ceph import started_ceph
from kiln.service.engines.programs import EngineAbsent, require


def test_names_every_program_that_is_missing():
    with pytest.raises(EngineAbsent, match="no such-program, nor-this here"):
        require("sh", "such-program", "nor-this")


def test_begins_nothing_of_an_engine_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EngineAbsent, match="ceph-mon"), started_ceph():
        raise AssertionError
