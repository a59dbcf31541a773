"""What OSS refuses, in its codes and with its statuses.

    OssError
      AccessDenied              another account's bucket, or nobody signed
      AuthorizationMalformed    the Authorization header has another form
      BucketAlreadyExists       another account's
      BucketNotEmpty            what is in it has to go first
      FileAlreadyExists         x-oss-forbid-overwrite
      InsufficientStorage       the disk of this Kiln is full
      InternalError             our bug
      InvalidAccessKeyId        nobody has that key, or it is switched off
      InvalidArgument           a parameter or a header is not as it should be
      InvalidBucketName
      InvalidDigest             the bytes are not those of Content-MD5
      InvalidObjectName         no file can be named so here
      InvalidRange              x-oss-range-behavior: standard
      MalformedXML
      MetadataTooLarge          headers that are to be kept with the object
      MethodNotAllowed
      MissingContentLength
      NoSuchBucket
      NoSuchKey
      NoSuchUpload
      NotServed                 NotImplemented: what of OSS is not served
      PartsRefused              of a multipart upload, each with a code of its own
      PreconditionFailed        If-Match, If-Unmodified-Since
      RequestExpired            of a presigned URL, with the code AccessDenied
      RequestTimeTooSkewed      a clock more than 15 minutes off
      SecurityTokenExpired
      InvalidSecurityToken
      ServiceUnavailable        not now: the same request may pass later
      SignatureDoesNotMatch
      SlowDown                  as many transfers go on as may
      EntityTooLarge            more than one request may bring
      TooManyBuckets

They are OSS's own and not the ECS API's, which has a table of its own.
"""

from __future__ import annotations

from typing import Any, ClassVar
from xml.sax.saxutils import escape


class OssError(Exception):
    """Base of all; *facts* fill the message."""

    code: str
    status: ClassVar[int] = 400
    message: ClassVar[str]

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.message.format(**facts))


class AccessDenied(OssError):
    """The bucket is another account's, or the request is not signed."""

    code, status = "AccessDenied", 403
    message = "{reason}."


class AuthorizationMalformed(OssError):
    """What is said of the signature cannot be read."""

    code = "InvalidArgument"
    message = "Authorization header is invalid: {reason}."


class BucketAlreadyExists(OssError):
    """Another account has a bucket of that name."""

    code, status = "BucketAlreadyExists", 409
    message = "The requested bucket name is not available. Please select a different name and try again."


class BucketNotEmpty(OssError):
    """Objects, or parts of uploads, are in the bucket."""

    code, status = "BucketNotEmpty", 409
    message = "The bucket has objects, parts of uploads, or files that are no objects. Please delete them first."


class FileAlreadyExists(OssError):
    """There is such an object, and the request said that it is to stay."""

    code, status = "FileAlreadyExists", 409
    message = "The object you specified already exists and can not be overwritten."


class InsufficientStorage(OssError):
    """The disk of this Kiln is full. The code is Kiln's own; the status is HTTP's."""

    code, status = "InsufficientStorage", 507
    message = "There is no room on the disk of this service: {reason}."


class InternalError(OssError):
    """Something failed that should not have; the log has the traceback under the RequestId."""

    code, status = "InternalError", 500
    message = "We encountered an internal error. Please try again."


class InvalidAccessKeyId(OssError):
    """No account has such a key, or it is switched off."""

    code, status = "InvalidAccessKeyId", 403
    message = "{reason}."


class InvalidArgument(OssError):
    """A parameter or a header is not as it has to be."""

    code = "InvalidArgument"
    message = "{name} is not valid: {reason}."


class InvalidBucketName(OssError):
    """No bucket may be named so."""

    code = "InvalidBucketName"
    message = "The specified bucket is not valid."


class InvalidDigest(OssError):
    """The bytes that came are not those of Content-MD5."""

    code = "InvalidDigest"
    message = "The Content-MD5 you specified was invalid, or is not that of the body."


class InvalidObjectName(OssError):
    """No object may be named so, by OSS's rules or because it could be no file here."""

    code = "InvalidObjectName"
    message = "The specified object is not valid: {reason}."


class InvalidRange(OssError):
    """No byte of the object is in the range that was asked for."""

    code, status = "InvalidRange", 416
    message = "The requested range cannot be satisfied."


class MalformedXML(OssError):
    """The body is no XML, or another than the operation has."""

    code = "MalformedXML"
    message = "The XML you provided was not well-formed or did not validate against our published schema."


class MetadataTooLarge(OssError):
    """The headers that are to be kept with the object are too long, or its file system keeps none."""

    code = "MetadataTooLarge"
    message = "What is to be kept with the object cannot be: {reason}."


class MethodNotAllowed(OssError):
    """The method has no meaning for the resource."""

    code, status = "MethodNotAllowed", 405
    message = "The specified method is not allowed against this resource."


class MissingContentLength(OssError):
    """The body has no length, and does not come in chunks."""

    code, status = "MissingContentLength", 411
    message = "You must provide the Content-Length HTTP header."


class NoSuchBucket(OssError):
    """There is no such bucket."""

    code, status = "NoSuchBucket", 404
    message = "The specified bucket does not exist."


class NoSuchKey(OssError):
    """The bucket has no such object."""

    code, status = "NoSuchKey", 404
    message = "The specified key does not exist."


class NoSuchUpload(OssError):
    """There is no such upload of that object: it was completed, aborted or abandoned, or never begun."""

    code, status = "NoSuchUpload", 404
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

    code, status = "PreconditionFailed", 412
    message = "At least one of the pre-conditions you specified did not hold."


class RequestExpired(OssError):
    """The time of a presigned URL is over."""

    code, status = "AccessDenied", 403
    message = "Request has expired."


class RequestTimeTooSkewed(OssError):
    """The request's time is more than 15 minutes before or after the server's."""

    code, status = "RequestTimeTooSkewed", 403
    message = "The difference between the request time and the current time is too large."


class SecurityTokenExpired(OssError):
    """The time of the security token is over."""

    code, status = "SecurityTokenExpired", 403
    message = "The security token you provided has expired."


class InvalidSecurityToken(OssError):
    """The security token is none of this service's, or another key's, or was not sent."""

    code, status = "InvalidSecurityToken", 403
    message = "The security token you provided is invalid."


class ServiceUnavailable(OssError):
    """The service cannot take the request just now."""

    code, status = "ServiceUnavailable", 503
    message = "The request has failed due to a temporary failure of the server."


class SignatureDoesNotMatch(OssError):
    """The signature is not the one that the named key gives for this request."""

    code, status = "SignatureDoesNotMatch", 403
    message = (
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method. The string to sign here is [{string_to_sign}]"
    )


class SlowDown(OssError):
    """As many transfers go on as may, of the account or in all."""

    code, status = "SlowDown", 503
    message = "Please reduce your request rate: no more than {most} transfers may go on {whose} at a time."


class EntityTooLarge(OssError):
    """The body is larger than one request may bring."""

    code = "EntityTooLarge"
    message = "Your proposed upload exceeds the maximum allowed size of {most} bytes."


class TooManyBuckets(OssError):
    """The account has as many buckets as it may."""

    code = "TooManyBuckets"
    message = "You have attempted to create more buckets than allowed: {most}."


def spell(error: OssError, request_id: str, host: str) -> bytes:
    """The XML that tells of *error*."""
    fields = {"Code": error.code, "Message": str(error), "RequestId": request_id, "HostId": host}
    inner = "".join(f"  <{name}>{escape(_printable(text))}</{name}>\n" for name, text in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n{inner}</Error>\n'.encode()


def _printable(text: str) -> str:
    """*text* without what XML cannot hold."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
