"""Products other than ECS: declared, called through every door, written down, with nothing that knows them by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kiln.client.catalogue import Catalogue
from kiln.client.parameters import flatten
from kiln.declare.products import ECS, PRODUCTS, ActionKey
from kiln.operations import ALL, CATALOGUE, titled
from kiln.wire.dispatch import Dispatcher
from kiln.wire.doors import doors
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from tests.clouds import REGION, make_cloud
from tests.fuzz.requests import WAYS
from tests.fuzz.target import OneAccount, read
from tests.wire import parrot
from tools import pages
from tools.catalogue import build

OTHER = parrot.PRODUCT
SERVED = (*PRODUCTS, OTHER)
EVERYTHING = (*ALL, *parrot.OPERATIONS)

by_every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)

#: What the CreateDisk of ECS needs.
A_DISK = {"ZoneId": f"{REGION}-a", "Size": "20"}

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def cloud(tmp_path, sqlite):
    return make_cloud(tmp_path, sqlite)


@pytest.fixture
def ask(cloud) -> Ask:
    """What a Kiln that has the other product answers to a request that is sent one way."""
    catalogue = CATALOGUE | {key: operation for operation in parrot.OPERATIONS for key in operation.keys}
    gateway = Gateway(
        Dispatcher(catalogue, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock, doors=doors(SERVED)
    )

    def answer(way: Callable[..., Any], key: ActionKey, params: Mapping[str, str]) -> dict[str, Any]:
        told = gateway.answer(way(key, {"RegionId": REGION, **params}, cloud.clock()))
        return {"status": told.status} | read(told)

    return answer


@by_every_way
@pytest.mark.parametrize("key", [ActionKey(OTHER, "RepeatWord"), ActionKey(ECS, "RepeatWord")], ids=str)
def test_an_operation_is_called_as_one_of_each_product_that_has_it(ask, way, key):
    told = ask(way, key, {"Word": "hello"})

    assert (told["status"], told["Word"]) == (200, "hello")


@by_every_way
def test_the_version_tells_actions_of_one_name_apart(ask, way):
    theirs = ask(way, ActionKey(OTHER, "CreateDisk"), {"Feathers": "7"})
    ours = ask(way, ActionKey(ECS, "CreateDisk"), A_DISK)

    assert theirs["DiskId"].startswith("parrot-7-")
    assert ours["DiskId"].startswith("d-")


@by_every_way
def test_the_operation_refuses_with_its_own_errors(ask, way):
    told = ask(way, ActionKey(OTHER, "CreateDisk"), {"Feathers": "101"})

    assert (told["status"], told["Code"]) == (403, "InvalidFeathers.Malformed")
    assert "product=Parrot" in told["Recommend"]


@by_every_way
@pytest.mark.parametrize("key", [ActionKey(OTHER, "DescribeImages"), ActionKey(ECS, "RepeatWords")], ids=str)
def test_an_action_of_another_product_is_not_found(ask, way, key):
    told = ask(way, key, {"Word": "hello"})

    assert (told["status"], told["Code"]) == (404, "InvalidAction.NotFound")


@by_every_way
def test_a_token_of_one_product_s_action_says_nothing_of_the_other_s(ask, way):
    token = {"ClientToken": "same"}
    first = ask(way, ActionKey(OTHER, "CreateDisk"), {"Feathers": "7"} | token)
    ours = ask(way, ActionKey(ECS, "CreateDisk"), A_DISK | token)

    assert ours["DiskId"].startswith("d-")
    assert ask(way, ActionKey(OTHER, "CreateDisk"), {"Feathers": "7"} | token)["DiskId"] == first["DiskId"]


def test_the_rows_of_tokens_go_on_to_call_ecs_s_actions_by_their_names():
    assert {operation.token_name for operation in ALL if operation.product == ECS} == {
        operation.name for operation in ALL if operation.product == ECS
    }
    assert len({operation.token_name for operation in EVERYTHING}) == len(EVERYTHING)


def test_an_action_is_titled_by_its_product_where_another_has_its_name():
    titles = titled(EVERYTHING, SERVED)
    known = Catalogue(build(EVERYTHING, SERVED))

    assert list(titles)[-2:] == ["Parrot:CreateDisk", "RepeatWord"]
    assert known.names == tuple(titles)


def test_the_catalogue_finds_an_action_under_each_of_its_products():
    known = Catalogue(build(EVERYTHING, SERVED))
    asked = ("RepeatWord", "Parrot:RepeatWord", "Ecs:RepeatWord", "CreateDisk", "Ecs:CreateDisk", "Parrot:CreateDisk")

    assert [known.action(name).version for name in asked] == [
        OTHER.version, OTHER.version, ECS.version, ECS.version, ECS.version, OTHER.version,
    ]  # fmt: skip
    assert {known.action(name).name for name in asked} == {"RepeatWord", "CreateDisk"}
    assert "Kiln:RepeatWord" not in known
    assert flatten(known.action("Parrot:CreateDisk"), {"Feathers": 7}) == {"Feathers": "7"}


def test_an_action_has_a_page_of_its_own():
    known = Catalogue(build(EVERYTHING, SERVED))
    sample = {"request": {"RegionId": REGION, "Feathers": 7}, "answer": {"DiskId": "parrot-7"}}

    page = pages.operation("Parrot:CreateDisk", known.action("Parrot:CreateDisk"), sample)

    assert page.startswith("# Parrot:CreateDisk\n")
    assert "kiln call Parrot:CreateDisk Feathers=7" in page
    assert "/apsara/route/Parrot/CreateDisk" in page
    assert "| 403 | `InvalidFeathers.Malformed` |" in page
    assert "[Parrot:CreateDisk](Parrot.CreateDisk.md)" in pages.operations(known)
    assert "[Parrot:CreateDisk](operations/Parrot.CreateDisk.md)" in pages.errors(known)
    assert "called with the version of Ecs, too" in pages.operation("RepeatWord", known.action("RepeatWord"), sample)
