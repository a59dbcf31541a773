"""The errors that a caller can see.

Each class is one row of the public error table. Raise a class, never a code:
code, status and text live in the class and nowhere else. The class is named
for its code, without dots; where the service uses one code for several causes
or statuses, a suffix after the code tells them apart.

    ApiError
      MissingParameter            gateway and decoder
      InvalidParameter            a declared rule was broken
      InvalidRegionIdNotFound     another region, where an operation documents no error of its own for that
      DryRunOperation             every check passed, nothing was done
      InternalError               our bug
      ServiceUnavailable          not now: the same request may pass later
"""

from __future__ import annotations

from typing import Any, ClassVar, Self


class ApiError(Exception):
    """Base of every error that crosses the wire.

    ``facts`` fill the message's template and go to the log.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 400
    message: ClassVar[str]
    retry_after_s: ClassVar[int] = 0  #: When the same request may pass, for errors that pass by themselves.
    hint: ClassVar[str] = ""  #: What a person may do about it; shown by the CLI and the reference, not on the wire.

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.message.format(**facts))
        self.facts = facts

    def about(self, resource: str) -> Self:
        """The same error, whose text says of which of several resources it is."""
        if resource not in str(self):
            self.args = (f"{str(self).removesuffix('.')}: {resource}.",)
        return self


class MissingParameter(ApiError):
    """A mandatory parameter was not sent, or was sent empty."""

    code = "MissingParameter"
    message = 'The input parameter "{parameter}" that is mandatory for processing this request is not supplied.'


class InvalidParameter(ApiError):
    """A parameter was sent whose value breaks its type or one of its declared rules."""

    code = "InvalidParameter"
    message = 'The specified parameter "{parameter}" is not valid: {rule}.'


class DryRunOperation(ApiError):
    """Every check passed, and the caller asked for nothing more."""

    code = "DryRunOperation"
    message = "Request validation has been passed with DryRun flag set."


class InvalidRegionIdNotFound(ApiError):
    """The RegionId is none of this deployment's."""

    code = "InvalidRegionId.NotFound"
    status = 404
    message = "The RegionId provided does not exist in our records."
    hint = "`kiln region list` lists the regions; the setting `regions` (KILN_REGIONS) adds more."


class InternalError(ApiError):
    """Something failed that should not have; the log has the traceback under the RequestId."""

    code = "InternalError"
    status = 500
    message = "The request processing has failed due to some unknown error, exception or failure."


class ServiceUnavailable(ApiError):
    """The service cannot take the request just now: the disk is full, the database does not answer."""

    code = "ServiceUnavailable"
    status = 503
    retry_after_s = 2
    message = "The request has failed due to a temporary failure of the server."
