"""The parameters of the Apsara route itself, which every operation has there beside its own.

Source: create-image.seed.txt, rows ``regionId`` and ``version``; that they are
the gateway's and not ECS's is argued in apsara-gateway.md 1.3.
"""

from __future__ import annotations

from typing import Annotated

from kiln.declare.products import PRODUCTS
from kiln.declare.rules import Doc, Example, OneOf, Wire
from kiln.declare.shapes import shape

#: The route's constant, which says nothing of a product.
ROUTE_VERSION = "2016-01-01"
_VERSIONS = (ROUTE_VERSION, *(product.version for product in PRODUCTS))


@shape
class RouteInput:
    """What the route reads; ``RegionId`` alone is enough for both."""

    region_id: Annotated[
        str,
        Wire("regionId"),
        Example("cn-qingdao-env17-d01"),
        Doc("The region that the request is routed to. RegionId is the operation's; either alone is enough."),
    ]
    version: Annotated[
        str | None,
        Wire("version"),
        OneOf(_VERSIONS),
        Example("2016-01-01"),
        Doc("The version of the route's API, or of the product's."),
    ] = None
