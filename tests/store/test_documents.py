"""Documents: rows go, and come back of what was said about them, on either database."""

from __future__ import annotations

import pytest

from kiln.store import documents
from kiln.store.instances import instances
from kiln.store.key_pairs import key_pairs
from tests.clouds import OTHER
from tests.operations.images.gallery import an_image, share
from tests.reading import every
from tests.stock import a_snapshot, an_instance


def said(cloud):
    """Every document, as the database has it."""
    with cloud.ports.database.read() as tx:
        return {
            (kind, name): documents.document(tx, kind, name)
            for kind in documents.KINDS
            for name in documents.names(tx, kind)
        }


def test_bring_back_every_row_that_was_removed(cloud):
    an_instance(cloud, data_disks=1)
    a_snapshot(cloud)
    image = an_image(cloud, tagged={"k": "v"})
    share(cloud, image.id)
    cloud.call("CreateWebhook", Url="https://events.example.com/")
    before = said(cloud)
    assert {"account", "volume", "instance", "disk", "snapshot", "image", "webhook"} <= {kind for kind, _ in before}
    assert [one["account"] for one in before["image", image.id]["shares"]] == [OTHER]
    for kind, name in before:
        cloud.ports.database.write(lambda tx, kind=kind, name=name: documents.remove(tx, kind, name))
    assert said(cloud) == {}

    for (kind, name), one in before.items():
        cloud.ports.database.write(lambda tx, k=kind, n=name, one=one: documents.restore(tx, k, n, one))

    assert said(cloud) == before


def test_an_image_of_before_there_were_shares_has_none(cloud):
    image = an_image(cloud)
    before = said(cloud)
    old = {name: value for name, value in before["image", image.id].items() if name != "shares"}

    cloud.ports.database.write(lambda tx: documents.restore(tx, "image", image.id, old))

    assert said(cloud) == before


@pytest.mark.parametrize(
    ("password", "ever_started", "due", "inherits"),
    [("", True, False, True), ("sealed", False, True, False), ("sealed", True, False, False)],
)
def test_an_instance_of_before_guests_were_given_passwords_keeps_what_it_has(
    cloud, password, ever_started, due, inherits
):
    """Else its next new system would have a password that nobody knows."""
    instance = an_instance(cloud, password=password, ever_started=ever_started)
    with cloud.ports.database.read() as tx:
        said = documents.document(tx, "instance", instance.id)
    old = {name: value for name, value in said.items() if name not in ("password_due", "password_inherit")}

    cloud.ports.database.write(lambda tx: documents.restore(tx, "instance", instance.id, old))

    (row,) = every(cloud, instances)
    assert (row.password_due, row.password_inherit) == (due, inherits)


def test_several_are_what_each_is_alone(cloud):
    an_instance(cloud, data_disks=2)
    an_instance(cloud)
    before = said(cloud)
    with cloud.ports.database.read() as tx:
        for kind in documents.KINDS:
            names = [*documents.names(tx, kind), "none"]
            assert documents.some(tx, kind, names) == {name: before.get((kind, name)) for name in names}


def test_one_whose_name_another_has_changes_nothing_and_what_follows_goes_on(cloud):
    cloud.call("CreateKeyPair", KeyPairName="ops")
    (row,) = every(cloud, key_pairs)
    before = said(cloud)
    (document,) = (one for (kind, _), one in before.items() if kind == "keypair")

    def work(tx):
        with pytest.raises(ValueError, match="another has"):
            documents.restore(tx, "keypair", "key-other", {**document, "id": "key-other"})
        documents.restore(tx, "keypair", row.id, {**document, "name": "other"})

    cloud.ports.database.write(work)

    assert [one.name for one in every(cloud, key_pairs)] == ["other"]
