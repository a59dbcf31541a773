"""The products whose operations are served, as ECS is one: each with a name and a version of its API.

A group of operations says in its face which product it is of; an operation of
it may be called as one of another product, too, as ECS has the actions of Vpc
that are older than Vpc. The doors find a request's product by what it says: its
name, where the door has one, and the version, of which each product has its own.
"""

from __future__ import annotations

from typing import NamedTuple


class Product(NamedTuple):
    """A product as requests name it. Names are compared without case, versions as they are."""

    name: str
    version: str
    mark: str  #: Before the action in rows that tell actions apart; none of ECS's, which were alone at first.


class ActionKey(NamedTuple):
    """What a request asks for, and what the catalogue of operations is searched by."""

    product: Product
    action: str

    def __str__(self) -> str:
        return f"{self.product.name} {self.product.version} {self.action}"


ECS = Product("Ecs", "2014-05-26", mark="")

#: Of networks; what was ECS's before there was Vpc is called by either version.
VPC = Product("Vpc", "2016-04-28", mark="Vpc:")

#: Which address serves a product in a region. SDKs ask it, over TLS, before they fall back on tables of their own.
LOCATION = Product("Location", "2015-06-12", mark="Location:")

#: Who calls, and keys for a while.
STS = Product("Sts", "2015-04-01", mark="Sts:")

#: Resource groups, which resources of all products are in.
RESOURCE_MANAGER = Product("ResourceManager", "2020-03-31", mark="ResourceManager:")

#: Who changed what.
ACTIONTRAIL = Product("Actiontrail", "2020-07-06", mark="Actiontrail:")

#: What no cloud tells: kept apart from ECS, whose clients never meet it.
KILN = Product("Kiln", "2026-11-28", mark="Kiln:")

#: All that are served. A request that names none is of the first whose version it has.
PRODUCTS = (ECS, VPC, LOCATION, STS, RESOURCE_MANAGER, ACTIONTRAIL, KILN)
