"""Errors that operations on security groups share."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidSecurityGroupNameMalformed(ApiError):
    """A security group's name breaks the rule for names."""

    code = "InvalidSecurityGroupName.Malformed"
    message = "The specified parameter SecurityGroupName is not valid."


class InvalidSecurityGroupDiscriptionMalformed(ApiError):
    """A security group's or a rule's description breaks the rule for descriptions."""

    code = "InvalidSecurityGroupDiscription.Malformed"
    message = "Specified security group description is not valid."


class InvalidIpProtocolValueNotSupported(ApiError):
    """The protocol is none that rules have here."""

    code = "InvalidIpProtocol.ValueNotSupported"
    message = "The parameter IpProtocol must be specified with case insensitive TCP, UDP, ICMP, GRE or All."


class InvalidParamPortRange(ApiError):
    """The ports are no two numbers from 1 to 65535, the lower first."""

    code = "InvalidParam.PortRange"
    message = (
        "The specified parameter {parameter} is not valid. It should be two integers less than 65535 in ?/? format."
    )


class InvalidPortRangeMalformed(ApiError):
    """No ports were given."""

    code = "InvalidPortRange.Malformed"
    message = "The specified parameter PortRange must set."


class OperationDeniedPorts(ApiError):
    """The protocol has no ports, and some were given."""

    code = "OperationDenied"
    message = "The specified IpProtocol does not exist or IpProtocol and PortRange do not match."
    hint = "Rules of icmp, gre and all have the ports -1/-1."


class InvalidSourcePortRangeMalformed(ApiError):
    """Ports of the side that begins a connection were given: rules here tell it by its address alone."""

    code = "InvalidSourcePortRange.Malformed"
    message = "The specified parameter SourcePortRange is not valid."
    hint = "Rules here look at the guest's ports for what comes in, and at the peer's for what goes out."


class InvalidPolicyMalformed(ApiError):
    """The policy is neither accept nor drop."""

    code = "InvalidPolicy.Malformed"
    message = "The specified parameter {parameter} is not valid."


class InvalidPriorityValueNotSupported(ApiError):
    """The priority is no whole number from 1 to 100."""

    code = "InvalidPriority.ValueNotSupported"
    message = "The parameter Priority is invalid."


class InvalidNicTypeValueNotSupported(ApiError):
    """The NIC type is neither internet nor intranet."""

    code = "InvalidNicType.ValueNotSupported"
    message = "The specified NicType does not exist."


class InvalidParameterIpv6CidrIp(ApiError):
    """An IPv6 address was given: networks here have none."""

    code = "InvalidParameter.Ipv6CidrIp"
    message = "The specified Ipv6CidrIp is not valid."


class InvalidPrefixListIdNotFound(ApiError):
    """A prefix list was named, of which there are none."""

    code = "InvalidPrefixListId.NotFound"
    status = 404
    message = "The specified prefix list was not found."


class InvalidPortRangeListIdNotFound(ApiError):
    """A list of ports was named, of which there are none."""

    code = "InvalidPortRangeListId.NotFound"
    message = "The specified port range list was not found."


class InvalidSourceCidrIpMalformed(ApiError):
    """The source is no CIDR block or address of IPv4, or the rule is for what goes out."""

    code = "InvalidSourceCidrIp.Malformed"
    message = "The specified parameter SourceCidrIp is not valid."


class InvalidDestCidrIpMalformed(ApiError):
    """The destination is no CIDR block or address of IPv4, or the rule is for what comes in."""

    code = "InvalidDestCidrIp.Malformed"
    message = "The specified parameter DestCidrIp is not valid."


class MissingParameterSource(ApiError):
    """A rule for what comes in says not from where."""

    code = "MissingParameter.Source"
    message = (
        "One of the parameters SourceCidrIp, Ipv6SourceCidrIp, SourceGroupId or SourcePrefixListId in {parameter} must "
        "be specified."
    )


class MissingParameterDest(ApiError):
    """A rule for what goes out says not where to."""

    code = "MissingParameter.Dest"
    message = (
        "One of the parameters DestCidrIp, Ipv6DestCidrIp, DestGroupId or DestPrefixListId in {parameter} must be "
        "specified."
    )


class InvalidSourceGroupIdMismatch(ApiError):
    """The source group is of another VPC."""

    code = "InvalidSourceGroupId.Mismatch"
    message = "Specified security group and source group are not in the same VPC."


class InvalidSourceGroupIdMismatchOfNicType(ApiError):
    """The source is a group, and the NIC type is internet."""

    code = "InvalidSourceGroupId.Mismatch"
    status = 403
    message = "NicType is required or NicType expects intranet."


class InvalidDestGroupIdMismatch(ApiError):
    """The destination group is of another VPC."""

    code = "InvalidDestGroupId.Mismatch"
    message = "Specified security group and destination group are not in the same VPC."


class InvalidDestGroupIdMismatchOfNicType(ApiError):
    """The destination is a group, and the NIC type is internet."""

    code = "InvalidDestGroupId.Mismatch"
    status = 403
    message = "NicType is required or NicType expects intranet."


class InvalidSourceGroupIdNotFound(ApiError):
    """The account has no such source group in the region."""

    code = "InvalidSourceGroupId.NotFound"
    status = 404
    message = "The SourceGroupId provided does not exist in our records."


class InvalidDestGroupIdNotFound(ApiError):
    """The account has no such destination group in the region."""

    code = "InvalidDestGroupId.NotFound"
    status = 404
    message = "The DestGroupId provided does not exist in our records."


class InvalidParamterConflict(ApiError):
    """The source group is the group itself, whose members reach each other by its InnerAccessPolicy."""

    code = "InvalidParamter.Conflict"
    status = 403
    message = "The specified SecurityGroupId should be different from the SourceGroupId."


class InvalidSecurityGroupIsSame(ApiError):
    """The destination group is the group itself."""

    code = "InvalidSecurityGroup.IsSame"
    status = 403
    message = "The authorized SecurityGroupId should be different from the DestGroupId."


class InvalidParamPermissions(ApiError):
    """Rules were given both in Permissions.N and beside it."""

    code = "InvalidParam.Permissions"
    message = "The specified parameter Permissions cannot coexist with other parameters."


class InvalidParamDuplicatePermissions(ApiError):
    """One rule was given twice in Permissions.N."""

    code = "InvalidParam.DuplicatePermissions"
    message = "There are duplicate permissions in the specified parameter Permissions."


class AuthorizationLimitExceed(ApiError):
    """The group would have more rules than it may."""

    code = "AuthorizationLimitExceed"
    status = 403
    message = "The limit of authorization records in the security group reaches."


class AuthorizedGroupRuleLimitExceed(ApiError):
    """The group would have more than 20 rules that name other groups."""

    code = "AuthorizedGroupRule.LimitExceed"
    message = (
        "You have reached the limit on the number of group authorization rules that you can add to a security group."
        "When authorization object of rule is security group, the limit is 20."
    )


class InvalidParamSecurityGroupRuleId(ApiError):
    """A rule was to be taken away both by its ID and by what it says."""

    code = "InvalidParam.SecurityGroupRuleId"
    message = "The specified parameter SecurityGroupRuleId is not valid."


class InvalidParamSecurityGroupRuleIdRepeated(ApiError):
    """One rule was named twice."""

    code = "InvalidParam.SecurityGroupRuleIdRepeated"
    message = "The specified parameter SecurityGroupRuleId is repeated."


class InvalidSecurityGroupRuleIdNotFound(ApiError):
    """The group has no rule of that ID in that direction."""

    code = "InvalidSecurityGroupRuleId.NotFound"
    status = 404
    message = "The specified SecurityGroupRuleId is not exists."
