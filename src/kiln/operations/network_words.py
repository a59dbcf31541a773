"""Parameters that operations on VPCs, VSwitches, security groups and elastic addresses share, each described once."""

from __future__ import annotations

from typing import Annotated

from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.rules import Declined, Doc, Example, OneOf, Text, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.networks.errors import NetworkInvalid
from kiln.networks.values import network_of
from kiln.operations.params import URLS

VpcId = Annotated[str, Example("vpc-bp1qpo0kug3a20qqe9h4"), Doc("The ID of the VPC.")]
VSwitchId = Annotated[str, Example("vsw-bp1s5fnvk4gn2tws03e1"), Doc("The ID of the VSwitch.")]
AllocationId = Annotated[str, Example("eip-2zeerraiwb7ujsxdc3k9"), Doc("The ID of the elastic address.")]
EipInstanceType = Annotated[
    str, OneOf(("EcsInstance",)), Doc("EcsInstance: elastic addresses lead to instances alone here.")
]
_NO_TAGS = Declined("VPCs, VSwitches and elastic addresses have no tags here")


@shape
class NoTag:
    """A tag, which nothing of networks has here."""

    key: Annotated[str | None, _NO_TAGS, Doc("The key.")] = None
    value: Annotated[str | None, _NO_TAGS, Doc("The value.")] = None


NoTags = Annotated[tuple[NoTag, ...], Unordered(), Doc("Tags.")]


def network_name(error: type[ApiError] = InvalidParameter) -> Text:
    """The rule for names in the Vpc product, where no letter has to come first."""
    return Text(1, 128, error, not_starting=URLS)


def network_description(error: type[ApiError] = InvalidParameter) -> Text:
    """The rule for descriptions in the Vpc product."""
    return Text(1, 256, error, not_starting=URLS)


@dataclass(frozen=True)
class Cidr:
    """A CIDR block of IPv4, without bits beyond its mask."""

    error: type[ApiError]

    def allows(self, value: str) -> bool:
        try:
            network_of("CidrBlock", value)
        except NetworkInvalid:
            return False
        return True

    def in_words(self) -> str:
        return "an address of IPv4, a slash and the length of a mask beyond which no bit is set"

    def counterexample(self) -> str:
        return "10.0.0.1/16"
