"""How many rows a list has: the same whoever has the most of the table, and soon where that is one account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.states import ImageStatus
from kiln.store import counting, images
from kiln.store.vpcs import Vpc, vpcs
from tests.clouds import make_cloud
from tests.operations.images.gallery import an_image
from tests.store.steps import counted_steps

OWN = {"account": "5", "region": "cn-m"}
#: Lists on every side of it in the index.
OTHERS = [("4", "cn-m"), ("6", "cn-m"), ("5", "cn-a"), ("5", "cn-z")]


def fill(database, own: int, others: int) -> None:
    """So many rows of the list, and of each of the four lists around it."""
    lists = [(*OWN.values(), own), *((account, region, others) for account, region in OTHERS)]
    rows = [a_vpc(account, region, n) for account, region, count in lists for n in range(count)]
    database.write(lambda tx: vpcs.insert(tx, *rows))


def a_vpc(account: str, region: str, number: int) -> Vpc:
    return Vpc(
        id=f"vpc-{account}-{region}-{number}",
        account=account,
        region=region,
        name="",
        description="",
        status="Available",
        cidr="10.0.0.0/16",
        is_default=False,
        resource_group="",
        created_at=float(number),
    )


@pytest.mark.parametrize(
    ("own", "others"), [(0, 0), (3, 1), (0, 260), (1200, 0), (1200, 1), (1200, 42), (1200, 43), (500, 200)]
)
def test_counts_what_is_the_accounts_in_the_region(sqlite, own, others):
    fill(sqlite, own, others)

    with sqlite.read() as tx:
        assert counting.count(tx, vpcs, **OWN) == own
        assert counting.count(tx, vpcs, vpcs.c.created_at < 2, **OWN) == min(own, 2)


def test_a_list_that_has_few_others_beside_it_is_not_counted_row_by_row(sqlite):
    fill(sqlite, 1200, 1)

    with counted_steps(sqlite) as (tx, steps):
        assert counting.count(tx, vpcs, **OWN) == 1200

    assert 0 < len(steps) < 600


def test_images_in_any_status_are_not_counted_row_by_row(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    first = an_image(cloud)
    rows = [replace(first, id=f"m-{n}", status=status) for status in ImageStatus for n in range(250)]
    cloud.ports.database.write(
        lambda tx: images.images.insert(tx, *(replace(row, id=row.id + row.status) for row in rows))
    )

    with counted_steps(sqlite) as (tx, steps):
        counted = images.count_of_statuses(tx, first.account, first.region, tuple(ImageStatus))

    assert counted == len(rows) + 1
    assert 0 < len(steps) < len(rows)
