"""Four ways in. A door decodes, proves and spells; it knows no operation by name."""

from __future__ import annotations

from kiln.declare.products import PRODUCTS, Product
from kiln.wire.doors.acs3 import Acs3Door
from kiln.wire.doors.apsara import ApsaraDoor
from kiln.wire.doors.asapi import AsapiDoor
from kiln.wire.doors.door import Door, RawRequest
from kiln.wire.doors.rpc import RpcDoor


def doors(products: tuple[Product, ...]) -> tuple[Door, ...]:
    """The ways in to *products*, in the order in which they are asked; the last takes everything."""
    return ApsaraDoor(products), Acs3Door(products), AsapiDoor(products), RpcDoor(products)


DOORS = doors(PRODUCTS)


def choose(request: RawRequest, among: tuple[Door, ...] = DOORS) -> Door:
    """The first door that recognises *request*."""
    return next(door for door in among if door.recognises(request))
