"""What can be wrong with a command, and with what is asked to be done in guests."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidCmdTypeNotFound(ApiError):
    """The type is not RunShellScript: batch files and PowerShell are of Windows, which Kiln runs no commands in."""

    code = "InvalidCmdType.NotFound"
    status = 404
    message = "The specified command type does not exist."


class CmdContentDecodeError(ApiError):
    """The content is not the Base64 that it is said to be."""

    code = "CmdContent.DecodeError"
    message = "The CommandContent can not be base64 decoded."


class CmdContentExceedLimit(ApiError):
    """The content has more than 24 KB in Base64, with the parameters of an invocation."""

    code = "CmdContent.ExceedLimit"
    status = 403
    message = "The length of the command content exceeds the upper limit."


class CmdNameExceedLimit(ApiError):
    """The name has more than 128 characters."""

    code = "CmdName.ExceedLimit"
    status = 403
    message = "The length of the command name exceeds the upper limit."


class CmdDescExceedLimit(ApiError):
    """The description has more than 512 characters."""

    code = "CmdDesc.ExceedLimit"
    status = 403
    message = "The length of the command description exceeds the upper limit."


class CmdCountExceedQuota(ApiError):
    """The account keeps as many commands in the region as it may."""

    code = "CmdCount.ExceedQuota"
    status = 403
    message = "The total number of commands in the current region exceeds the quota."


class CmdParamCountExceedLimit(ApiError):
    """The content names more than 20 parameters."""

    code = "CmdParamCount.ExceedLimit"
    status = 403
    message = "The maximum number of custom parameters is exceeded."


class CmdParamNameExceedLimit(ApiError):
    """A parameter in the content has a name of more than 64 bytes."""

    code = "CmdParamName.ExceedLimit"
    status = 403
    message = "The maximum length of a parameter name is exceeded."


class CmdParamInvalidParamName(ApiError):
    """A parameter in the content has a name of other characters, or is none of the built-in ones."""

    code = "CmdParam.InvalidParamName"
    message = (
        "Invalid parameter name. The name can contain only lowercase letters (a to z), uppercase letters (A to Z), "
        "numbers (0 to 9), hyphens (-), and underscores (_)."
    )


class CmdParamEmptyKey(ApiError):
    """A parameter in the content has no name."""

    code = "CmdParam.EmptyKey"
    message = "You must specify the parameter names."


class InvalidParameterWorkingDir(ApiError):
    """The directory has more than 200 characters, or one that no path has."""

    code = "InvalidParameter.WorkingDir"
    message = "The specified parameter WorkingDir is not valid."


class InvalidTimeoutExceedLimit(ApiError):
    """The time is less than 10 seconds or more than a day."""

    code = "InvalidTimeout.ExceedLimit"
    status = 403
    message = "The specified parameter Timeout exceeds the upper limit."


class InvalidCmdIdNotFound(ApiError):
    """The account has no command of that ID."""

    code = "InvalidCmdId.NotFound"
    status = 404
    message = "The specified command ID does not exist."


class InvalidInvokeIdNotFound(ApiError):
    """The account has no invocation of that ID."""

    code = "InvalidInvokeId.NotFound"
    status = 404
    message = "The specified invoke ID does not exist."


class InvalidInstanceNotFound(ApiError):
    """No instance of that ID can be seen by this account."""

    code = "InvalidInstance.NotFound"
    status = 404
    message = "The specified instance does not exist."


class InvalidInstanceNotMatch(ApiError):
    """The instance is not Running, or runs Windows."""

    code = "InvalidInstance.NotMatch"
    message = "The specified instance type does not match the command."
    hint = "The instance must be Running, and not run Windows."


class UsernameExceedLimit(ApiError):
    """The user's name has more than 255 characters, or is none that a user can have."""

    code = "Username.ExceedLimit"
    status = 403
    message = "The length of the username exceeds the upper limit."


class ParameterDisabled(ApiError):
    """Parameters are given to a command that takes none."""

    code = "Parameter.Disabled"
    message = "Parameters cannot be passed in when the command customization function is disabled."


class InvalidParameterParameters(ApiError):
    """Parameters is no JSON object of texts, or has a key that is empty."""

    code = "InvalidParameter.Parameters"
    message = "The specified parameter Parameters is not valid."


class ParameterNotMatched(ApiError):
    """A parameter is given that the command does not name."""

    code = "Parameter.NotMatched"
    status = 403
    message = "The passed-in parameters do not match the parameters defined when you created the command."


class ParameterMissingValue(ApiError):
    """A parameter that the command names is not given."""

    code = "Parameter.MissingValue"
    message = "The parameter value of this command is required."


class ParameterCountExceedLimit(ApiError):
    """More than 10 parameters are given."""

    code = "ParameterCount.ExceedLimit"
    status = 403
    message = "The maximum number of parameters is exceeded."


class ParameterKeyExceedLimit(ApiError):
    """A parameter's key has more than 64 characters."""

    code = "ParameterKey.ExceedLimit"
    status = 403
    message = "The maximum length of a parameter name is exceeded."


class ParameterKeyDuplicate(ApiError):
    """Two keys differ in the case of their letters alone."""

    code = "ParameterKey.Duplicate"
    status = 403
    message = "Parameter names cannot be duplicated."


class InvalidRepeatModeNotFound(ApiError):
    """The mode is not Once: Kiln runs commands at once, and keeps no schedule."""

    code = "InvalidRepeatMode.NotFound"
    status = 404
    message = "The specified repeat mode does not exist."


class InvalidResourceTagConflict(ApiError):
    """Both InstanceId and ResourceTag are given."""

    code = "InvalidResourceTag.ConflictWithInstanceIds"
    message = "The specified param ResourceTag conflicts with InstanceId."


class InvalidResourceTagInstanceNotFound(ApiError):
    """No instance has these tags."""

    code = "InvalidResourceTag.InstanceNotFound"
    message = "InstanceIds are not found by the specified ResourceTag."


class IdempotentParameterMismatchOfCommands(ApiError):
    """The ClientToken was used before with other parameters."""

    code = "IdempotentParameterMismatch"
    status = 403
    message = "The specified parameter has changed while using an already used clientToken."
