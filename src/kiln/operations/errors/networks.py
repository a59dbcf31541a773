"""What can be wrong with a VPC, a VSwitch, a security group or an address that is asked for.

The codes are those of the Vpc product and of ECS, whose documents agree on them.
"""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidVpcIdNotFound(ApiError):
    """No VPC of that ID can be seen by this account."""

    code = "InvalidVpcId.NotFound"
    status = 404
    message = "Specified VPC does not exist."


class InvalidVSwitchIdNotFound(ApiError):
    """No VSwitch of that ID can be seen by this account."""

    code = "InvalidVSwitchId.NotFound"
    status = 404
    message = "Specified virtual switch does not exist."


class InvalidSecurityGroupIdNotFound(ApiError):
    """No security group of that ID can be seen by this account."""

    code = "InvalidSecurityGroupId.NotFound"
    status = 404
    message = "The specified SecurityGroupId does not exist."


class InvalidParameterMismatchOfGroup(ApiError):
    """A security group is of another VPC than the VSwitch, or the instance."""

    code = "InvalidParameter.Mismatch"
    message = "Specified security group and virtual switch are not in the same VPC."
    hint = "`kiln security-group list` tells the VPC of each group, `kiln vswitch list` that of each VSwitch."


class InvalidVSwitchIdIpNotEnough(ApiError):
    """The VSwitch has not so many free addresses, or the default VPC no room for another VSwitch."""

    code = "InvalidVSwitchId.IpNotEnough"
    status = 403
    message = "The specified VSwitch {vswitch_id} has not enough IpAddress."


class InvalidCidrBlockMalformed(ApiError):
    """The CIDR block is none, or none that a VPC or a VSwitch may have."""

    code = "InvalidCidrBlock.Malformed"
    message = "Specified CIDR block is not valid."
    hint = (
        "A VPC's mask has 8 to 28 bits and a VSwitch's 16 to 29; 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, "
        "224.0.0.0/4 and their like are the cloud's own."
    )


class InvalidVpcNameMalformed(ApiError):
    """The name breaks the rule for names of VPCs."""

    code = "InvalidVpcName.Malformed"
    message = "Specified VPC name is not valid."


class InvalidVpcDiscriptionMalformed(ApiError):
    """The description breaks the rule for descriptions of VPCs. The code is spelled as documented."""

    code = "InvalidVpcDiscription.Malformed"
    message = "Specified VPC description is not valid."


class InvalidVSwitchNameMalformed(ApiError):
    """The name breaks the rule for names of VSwitches."""

    code = "InvalidVSwitchName.Malformed"
    message = "Specified virtual switch name is not valid."


class InvalidVSwitchDiscriptionMalformed(ApiError):
    """The description breaks the rule for descriptions of VSwitches. The code is spelled as documented."""

    code = "InvalidVSwitchDiscription.Malformed"
    message = "Specified virtual switch description is not valid."


class InvalidAllocationIdNotFound(ApiError):
    """No elastic address of that ID can be seen by this account."""

    code = "InvalidAllocationId.NotFound"
    status = 404
    message = "Specified allocation ID is not found."


class IncorrectEipStatus(ApiError):
    """The elastic address leads to an instance, or leads nowhere, and the operation needs the other."""

    code = "IncorrectEipStatus"
    message = "Current elastic IP status does not support this operation."
    hint = "`kiln eip list` tells the status, and the instance."
