"""Tell which address serves a product in a region.

SDKs ask this of location-readonly.aliyuncs.com before their first call, when
nobody has told them an endpoint. Every product that is served here is served in
every region at one address: the one at which the question came, or, where it was
asked for under a name of the cloud, the one that DescribeRegions tells.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.products import PRODUCTS
from kiln.declare.rules import Doc, Example, OneOf
from kiln.declare.shapes import shape

#: What the service calls a product is its name in lower case.
_SERVED = frozenset(product.name.lower() for product in PRODUCTS)


class InvalidRegionId(ApiError):
    """The region is none of this deployment's. SDKs compare code and text letter by letter."""

    code = "InvalidRegionId"
    status = 404
    message = "The specified region does not exist."


class IllegalParameter(ApiError):
    """The product is none that is served, or the type none that there is. SDKs compare code and text as well."""

    code = "Illegal Parameter"
    message = "Please check the parameters"


@shape
class Input:
    id: Annotated[str, Example("cn-qingdao-env17-d01"), Doc("The region that the address is asked for.")]
    service_code: Annotated[
        str,
        Example("ecs"),
        Doc(f"The product: {', '.join(sorted(_SERVED))}, in any case. Of others Kiln serves nothing."),
    ]
    type: Annotated[
        str,
        OneOf(("openAPI", "innerAPI"), IllegalParameter),
        Doc("The kind of address. Both are one here."),
    ] = "openAPI"


@shape
class ProtocolsOutput:
    """Protocols."""

    protocols: Annotated[tuple[str, ...], Doc("HTTP and HTTPS: one port speaks both.")]


@shape
class EndpointOutput:
    """One address."""

    id: Annotated[str, Example("cn-qingdao-env17-d01"), Doc("The region.")]
    serivce_code: Annotated[str, Example("ecs"), Doc("The product. The service spells the name of this member so.")]
    type: Annotated[str, Example("openAPI"), Doc("The kind of address.")]
    namespace: Annotated[str, Doc("Always empty.")]
    protocols: Annotated[ProtocolsOutput, Doc("What is spoken there.")]
    endpoint: Annotated[str, Example("127.0.0.1:8787"), Doc("HOST or HOST:PORT.")]


@shape
class EndpointsOutput:
    """Addresses."""

    endpoint: Annotated[tuple[EndpointOutput, ...], Doc("The address.")]


@shape
class Output:
    success: Annotated[bool, Doc("Always true.")]
    endpoints: Annotated[EndpointsOutput, Doc("Where the product is served.")]


def check(call: Call, p: Input) -> Output:
    if p.id not in call.deployment.regions:
        raise InvalidRegionId(id=p.id)
    if p.service_code.lower() not in _SERVED:
        raise IllegalParameter(service_code=p.service_code)
    endpoint = EndpointOutput(
        id=p.id,
        serivce_code=p.service_code,
        type=p.type,
        namespace="",
        protocols=ProtocolsOutput(protocols=("HTTP", "HTTPS")),
        endpoint=call.origin.reached_at(otherwise=call.deployment.endpoint),
    )
    return Output(success=True, endpoints=EndpointsOutput(endpoint=(endpoint,)))


describe_endpoints = Operation(input=Input, output=Output, check=check, errors=(InvalidRegionId, IllegalParameter))
