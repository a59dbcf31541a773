"""What can be wrong with any request."""

from __future__ import annotations

from kiln.declare.errors import ApiError
from kiln.declare.operation import Idempotence


class InvalidDescriptionMalformed(ApiError):
    """A description breaks the rule for descriptions."""

    code = "InvalidDescription.Malformed"
    message = "The specified description is wrongly formed."


class InvalidClientTokenMalformed(ApiError):
    """The ClientToken is longer than 64 characters or not ASCII."""

    code = "InvalidClientToken.Malformed"
    message = "The specified parameter clientToken is not valid."


class IdempotentParameterMismatch(ApiError):
    """The ClientToken was used before with other parameters."""

    code = "IdempotentParameterMismatch"
    message = "The request is retried with updated parameters."


#: That an operation takes a ClientToken, with the errors that most of them document for it.
IDEMPOTENT = Idempotence(mismatch=IdempotentParameterMismatch, malformed=InvalidClientTokenMalformed)


class DryRunSuccess(ApiError):
    """Every check passed, as ImportImage and the operations on several instances say it."""

    code = "DRYRUN.SUCCESS"
    message = "This request is a dryrun request with successful result."


class NoAttributeToModify(ApiError):
    """Nothing was sent that is to be changed."""

    code = "NoAttributeToModify"
    message = "No attribute to be modified in this request."
