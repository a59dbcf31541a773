"""What can be wrong with an instance that is asked for."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidInstanceIdNotFound(ApiError):
    """No instance of that ID can be seen by this account."""

    code = "InvalidInstanceId.NotFound"
    status = 404
    message = "The specified InstanceId does not exist."


class IncorrectInstanceStatus(ApiError):
    """The instance's status does not allow the operation."""

    code = "IncorrectInstanceStatus"
    status = 403
    message = "The current status of the resource does not support this operation."


class InstanceLockedForSecurity(ApiError):
    """The instance is locked for security reasons."""

    code = "InstanceLockedForSecurity"
    status = 403
    message = "The specified operation is denied as your instance is locked for security reasons."


class InvalidInstanceNotFoundSystemDisk(ApiError):
    """The instance has no system disk."""

    code = "InvalidInstance.NotFoundSystemDisk"
    message = "The specified instance does not have system disk."


class InvalidParameterTooManyInstanceIds(ApiError):
    """More than 100 IDs."""

    code = "InvalidParameter.TooManyInstanceIds"
    status = 403
    message = "Instance ids cannot be more than 100."


class MissingParamInstanceId(ApiError):
    """No instance is named."""

    code = "MissingParam.InstanceId"
    message = "The parameter instanceId is missing or empty."


class InstanceIdsExceedLimit(ApiError):
    """More instances are named than may be."""

    code = "InstanceIds.ExceedLimit"
    status = 403
    message = "The number of instance IDs exceeds the upper limit."
