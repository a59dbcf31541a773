"""What OSS refuses, in its codes and with its statuses.

Each class is a row of the public table, and says in its docstring when it is
met. Its code is its name, but where OSS has one code for several causes.

They are OSS's own and not the ECS API's, which has a table of its own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kiln.wire.encode import escape


class OssError(Exception):
    """Base of all; *facts* fill the message."""

    code: str
    status: ClassVar[int] = 400
    message: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Name the code."""
        if "code" not in vars(cls):
            cls.code = cls.__name__

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.message.format(**facts))


class AccessDenied(OssError):
    """The bucket is another account's, or the request is not signed."""

    status = 403
    message = "{reason}."


class AuthorizationMalformed(OssError):
    """What is said of the signature cannot be read."""

    code = "InvalidArgument"
    message = "Authorization header is invalid: {reason}."


class BucketAlreadyExists(OssError):
    """Another account has a bucket of that name."""

    status = 409
    message = "The requested bucket name is not available. Please select a different name and try again."


class BucketNotEmpty(OssError):
    """Objects, or parts of uploads, are in the bucket."""

    status = 409
    message = "The bucket has objects, parts of uploads, or files that are no objects. Please delete them first."


class FileAlreadyExists(OssError):
    """There is such an object, and the request said that it is to stay."""

    status = 409
    message = "The object you specified already exists and can not be overwritten."


class InsufficientStorage(OssError):
    """The disk of this Kiln is full. The code is Kiln's own; the status is HTTP's."""

    status = 507
    message = "There is no room on the disk of this service: {reason}."


class InternalError(OssError):
    """Something failed that should not have; the log has the traceback under the RequestId."""

    status = 500
    message = "We encountered an internal error. Please try again."


class InvalidAccessKeyId(OssError):
    """No account has such a key, or it is switched off."""

    status = 403
    message = "{reason}."


class InvalidArgument(OssError):
    """A parameter or a header is not as it has to be."""

    message = "{name} is not valid: {reason}."


class InvalidBucketName(OssError):
    """No bucket may be named so."""

    message = "The specified bucket is not valid."


class InvalidDigest(OssError):
    """The bytes that came are not those of Content-MD5."""

    message = "The Content-MD5 you specified was invalid, or is not that of the body."


class InvalidObjectName(OssError):
    """No object may be named so, by OSS's rules or because it could be no file here."""

    message = "The specified object is not valid: {reason}."


class InvalidRange(OssError):
    """No byte of the object is in the range that was asked for."""

    status = 416
    message = "The requested range cannot be satisfied."


class MalformedXML(OssError):
    """The body is no XML, or another than the operation has."""

    message = "The XML you provided was not well-formed or did not validate against our published schema."


class MetadataTooLarge(OssError):
    """The headers that are to be kept with the object are too long, or its file system keeps none."""

    message = "What is to be kept with the object cannot be: {reason}."


class MethodNotAllowed(OssError):
    """The method has no meaning for the resource."""

    status = 405
    message = "The specified method is not allowed against this resource."


class MissingContentLength(OssError):
    """The body has no length, and does not come in chunks."""

    status = 411
    message = "You must provide the Content-Length HTTP header."


class NoSuchBucket(OssError):
    """There is no such bucket."""

    status = 404
    message = "The specified bucket does not exist."


class NoSuchKey(OssError):
    """The bucket has no such object."""

    status = 404
    message = "The specified key does not exist."


class NoSuchUpload(OssError):
    """There is no such upload of that object: it was completed, aborted or abandoned, or never begun."""

    status = 404
    message = "The specified upload does not exist. The upload ID may be invalid, or the upload may be over."


class NotServed(OssError):
    """Part of OSS, and not of Kiln."""

    code = "NotImplemented"
    message = "{name} is not implemented here."


class PartsRefused(OssError):
    """The parts make no object. The code says why; TooManyUploads is Kiln's own."""

    code = "InvalidPart"
    message = "{reason}."

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason=reason)
        self.code = code


class PreconditionFailed(OssError):
    """If-Match or If-Unmodified-Since does not hold."""

    status = 412
    message = "At least one of the pre-conditions you specified did not hold."


class RequestExpired(OssError):
    """The time of a presigned URL is over."""

    code, status = "AccessDenied", 403
    message = "Request has expired."


class RequestTimeTooSkewed(OssError):
    """The request's time is more than 15 minutes before or after the server's."""

    status = 403
    message = "The difference between the request time and the current time is too large."


class SecurityTokenExpired(OssError):
    """The time of the security token is over."""

    status = 403
    message = "The security token you provided has expired."


class InvalidSecurityToken(OssError):
    """The security token is none of this service's, or another key's, or was not sent."""

    status = 403
    message = "The security token you provided is invalid."


class ServiceUnavailable(OssError):
    """The service cannot take the request just now."""

    status = 503
    message = "The request has failed due to a temporary failure of the server."


class SignatureDoesNotMatch(OssError):
    """The signature is not the one that the named key gives for this request."""

    status = 403
    message = (
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method. The string to sign here is [{string_to_sign}]"
    )


class SlowDown(OssError):
    """As many transfers go on as may, of the account or in all."""

    status = 503
    message = "Please reduce your request rate: no more than {most} transfers may go on {whose} at a time."


class EntityTooLarge(OssError):
    """The body is larger than one request may bring."""

    message = "Your proposed upload exceeds the maximum allowed size of {most} bytes."


class TooManyBuckets(OssError):
    """The account has as many buckets as it may."""

    message = "You have attempted to create more buckets than allowed: {most}."


def spell(error: OssError, request_id: str, host: str) -> bytes:
    """The XML that tells of *error*."""
    fields = {"Code": error.code, "Message": str(error), "RequestId": request_id, "HostId": host}
    inner = "".join(f"  <{name}>{escape(_printable(text))}</{name}>\n" for name, text in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n{inner}</Error>\n'.encode()


def _printable(text: str) -> str:
    """*text* without what XML cannot hold."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
