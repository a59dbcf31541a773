"""Keys that are changed beside a service that runs."""

from __future__ import annotations

import logging

import pytest

from kiln.ground.journal import FACTS
from kiln.service import keys
from kiln.service.accounts import ensure_first_account
from kiln.service.keys import KINDS
from kiln.service.keywatch import KeyWatch
from kiln.service.secrets import Sealer
from kiln.service.settings import read_settings


@pytest.mark.parametrize("kind", KINDS)
def test_logs_a_key_that_is_made_switched_off_and_on_and_removed(database, tmp_path, caplog, kind):
    caplog.set_level(logging.INFO, "kiln.service")
    sealer = Sealer.in_folder(tmp_path)
    sealer.make_key()
    first = ensure_first_account(database, sealer, read_settings({}, data=tmp_path), 1.0)
    watch = KeyWatch(database)
    watch.look()

    pair = keys.add(database, sealer, first.account, kind, 2.0)
    watch.look()
    keys.disable(database, pair.id)
    watch.look()
    keys.enable(database, sealer, pair.id)
    watch.look()
    keys.disable(database, pair.id)
    watch.look()
    keys.delete(database, pair.id)
    watch.look()
    watch.look()

    said = [record.getMessage() for record in caplog.records]
    assert said == ["key_added", "key_disabled", "key_enabled", "key_disabled", "key_removed"]
    told = {"account": first.account, "kind": kind, "key": pair.id}
    assert [getattr(record, FACTS) for record in caplog.records] == [told] * len(said)
    assert pair.secret not in caplog.text
