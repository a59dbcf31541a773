"""Four ways in. A door decodes, proves and spells; it knows no operation by name."""

from __future__ import annotations

from kiln.wire.doors.acs3 import Acs3Door
from kiln.wire.doors.apsara import ApsaraDoor
from kiln.wire.doors.asapi import AsapiDoor
from kiln.wire.doors.door import Door, RawRequest
from kiln.wire.doors.rpc import RpcDoor

#: In the order in which they are asked; the last takes everything.
DOORS: tuple[Door, ...] = (ApsaraDoor(), Acs3Door(), AsapiDoor(), RpcDoor())


def choose(request: RawRequest) -> Door:
    """The first door that recognises *request*."""
    return next(door for door in DOORS if door.recognises(request))
