"""Who proves to be the operator: who reads the master key, and within a minute."""

from __future__ import annotations

import pytest

from kiln.service.operators import is_proved, prove
from kiln.service.secrets import Sealer


@pytest.fixture
def sealer(tmp_path):
    made = Sealer.in_folder(tmp_path)
    made.make_key()
    return made


def test_who_reads_the_master_key(sealer, tmp_path):
    proof = prove(Sealer.in_folder(tmp_path))

    assert is_proved(sealer, proof)


def test_not_who_reads_another(sealer, tmp_path):
    (tmp_path / "other").mkdir()
    other = Sealer.in_folder(tmp_path / "other")
    other.make_key()

    assert not is_proved(sealer, prove(other))


def test_not_later_or_earlier_than_a_minute(sealer):
    proof = prove(sealer, lambda: 1000.0)

    assert is_proved(sealer, proof, lambda: 1060.0)
    assert not is_proved(sealer, proof, lambda: 1061.0)
    assert not is_proved(sealer, proof, lambda: 939.0)


@pytest.mark.parametrize(
    "how", ["", ".", "1000", "1000.", "1000.00", "x.y", "\u0661.\u0661", "9" * 5000 + ".0", "nan.x"]
)
def test_not_by_other_words(sealer, how):
    assert not is_proved(sealer, how, lambda: 1000.0)


def test_nobody_where_the_key_is_lost(tmp_path):
    assert not is_proved(Sealer.in_folder(tmp_path), "1000.00", lambda: 1000.0)
