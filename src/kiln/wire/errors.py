"""What the gateway refuses before any operation is asked.

    ApiError
      MissingAccessKeyId            no key was named
      InvalidAccessKeyIdNotFound    nobody has that key
      InvalidAccessKeyIdInactive    the key is switched off
      MissingSecurityToken          a key for a while without its token
      InvalidSecurityTokenMalformed a token that nobody here gave out
      InvalidSecurityTokenExpired   a token whose time is over
      InvalidSecurityTokenMismatchWithAccessKey  a token of another key
      IncompleteSignature           there is no whole signature to look at
      InvalidSignatureMethod        an algorithm that is not spoken
      InvalidParamater              a signature version that is not spoken (the service's own spelling)
      SignatureDoesNotMatch         the proof is wrong
      SignatureDoesNotMatchAcs3     likewise, in the words of the newer scheme
      SignatureNonceUsed            a replay
      InvalidTimeStampExpired       a clock more than 15 minutes off
      InvalidTimeStampFormat        no time at all
      InvalidParameterFormat        an answer in a format that is not spoken
      InvalidVersion                another version of the API
      InvalidProductNotFound        another product
      InvalidActionNotFound         no such operation, or no such path
      UnsupportedHTTPMethod         neither GET nor POST
        UnsupportedHTTPMethodOnlyPost                    the Apsara route takes POST alone
      RequestTooLarge               a body that no operation needs
      Throttling                    the memory of nonces is full
      ThrottlingEvents              as many streams of changes are open as may be
      Forbidden                     the person may not use the application

Codes, texts and statuses are those of the public service.
"""

from __future__ import annotations

from kiln.declare.errors import ApiError
from kiln.declare.products import PRODUCTS


class MissingAccessKeyId(ApiError):
    """The request names no AccessKey."""

    code = "MissingAccessKeyId"
    message = "AccessKeyId is mandatory for this action."


class InvalidAccessKeyIdNotFound(ApiError):
    """No account has an AccessKey, or an app, of that id."""

    code = "InvalidAccessKeyId.NotFound"
    status = 404
    message = "Specified access key is not found."


class InvalidAccessKeyIdInactive(ApiError):
    """The AccessKey, or the app, exists but is switched off."""

    code = "InvalidAccessKeyId.Inactive"
    message = "Specified access key is disabled."
    hint = "The operator sees with `kiln account keys list` which keys are active; `kiln env` prints one that is."


class InvalidSecurityTokenMalformed(ApiError):
    """The security token is none that this service has given out, or its master key is another one by now."""

    code = "InvalidSecurityToken.Malformed"
    message = "Specified SecurityToken is malformed."
    hint = "Sign with a permanent AccessKey and leave SecurityToken out, or take the role again."


class InvalidSecurityTokenExpired(ApiError):
    """The time of the security token is over."""

    code = "InvalidSecurityToken.Expired"
    message = "Specified SecurityToken is expired."
    hint = "Take the role again: AssumeRole gives another."


class InvalidSecurityTokenMismatchWithAccessKey(ApiError):
    """The security token is of another AccessKey than the one that signs."""

    code = "InvalidSecurityToken.MismatchWithAccessKey"
    message = "Specified SecurityToken mismatch with the AccessKey."


class MissingSecurityToken(ApiError):
    """The AccessKey is one of AssumeRole's, and its token was not sent."""

    code = "MissingSecurityToken"
    message = "SecurityToken is mandatory for this action."


class IncompleteSignature(ApiError):
    """The signature cannot be read, or does not cover what it has to cover."""

    code = "IncompleteSignature"
    message = "The request signature does not conform to Aliyun standards: {reason}."


class InvalidSignatureMethod(ApiError):
    """The signature's algorithm is not one of those that its scheme allows."""

    code = "InvalidSignatureMethod"
    message = "Specified signature method is not valid."


class InvalidParamater(ApiError):
    """SignatureVersion is neither 1.0 nor 2.1. The code's spelling is the service's."""

    code = "InvalidParamater"
    message = 'The specified parameter "{parameter}" is not valid.'


class SignatureDoesNotMatch(ApiError):
    """The signature is not the one that the named key gives for this request.

    Exactly one colon stands before the server's string: official clients cut the
    text there to tell a wrong secret from a wrong computation.
    """

    code = "SignatureDoesNotMatch"
    message = "Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
    hint = "If the strings to sign are equal, the secret is wrong; else the first difference shows the fault."


class SignatureDoesNotMatchAcs3(ApiError):
    """As SignatureDoesNotMatch, for requests signed with an Authorization header."""

    code = "SignatureDoesNotMatch"
    message = (
        "Specified signature does not match our calculation. "
        "server StringToSign is [{string_to_sign}] server CanonicalRequest is [{canonical}]"
    )
    hint = "If the strings to sign are equal, the secret is wrong; else the first difference shows the fault."


class SignatureNonceUsed(ApiError):
    """The key has already used this nonce in a request that could still be replayed."""

    code = "SignatureNonceUsed"
    message = "Specified signature nonce was used already."


class InvalidTimeStampExpired(ApiError):
    """The request's time is more than 15 minutes before or after the server's."""

    code = "InvalidTimeStamp.Expired"
    message = "Specified time stamp or date value is expired."
    hint = "Set the clock of the machine that signs."


class InvalidTimeStampFormat(ApiError):
    """The request's time is not spelled as its scheme asks."""

    code = "InvalidTimeStamp.Format"
    message = "Specified time stamp or date value is not well formatted."


class InvalidParameterFormat(ApiError):
    """Format is neither JSON nor XML."""

    code = "InvalidParameter.Format"
    message = "Specified parameter format is not valid."


class InvalidVersion(ApiError):
    """The request is for a version of the API that is not served."""

    code = "InvalidVersion"
    message = "Specified parameter Version is not valid."
    hint = (
        f"The versions are {', '.join(f'{one.version} of {one.name}' for one in PRODUCTS)}; "
        "the Apsara route also takes 2016-01-01."
    )


class InvalidProductNotFound(ApiError):
    """The request is for a product that is not served."""

    code = "InvalidProduct.NotFound"
    status = 404
    message = "Cannot find product according to your specified domain."


class InvalidActionNotFound(ApiError):
    """No operation has that name, or nothing is served under that path."""

    code = "InvalidAction.NotFound"
    status = 404
    message = "Specified api is not found, please check your url and method."


class UnsupportedHTTPMethod(ApiError):
    """The HTTP method is neither GET nor POST."""

    code = "UnsupportedHTTPMethod"
    message = "This HTTP method is not supported."


class UnsupportedHTTPMethodOnlyPost(UnsupportedHTTPMethod):
    """Another method than POST on the Apsara route, which is documented for that one."""

    status = 405


class RequestTooLarge(ApiError):
    """The body is larger than any operation's parameters. The code is Kiln's own; the status is HTTP's."""

    code = "RequestTooLarge"
    status = 413
    message = "The request body is larger than {mib} MiB."


class Throttling(ApiError):
    """More requests came within the clock window than the memory of nonces holds."""

    code = "Throttling"
    retry_after_s = 5
    message = "Request was denied due to request throttling."


class ThrottlingEvents(ApiError):
    """As many streams of changes are open as may be, of the account or in all. The code is Kiln's own."""

    code = "Throttling.Events"
    status = 429
    retry_after_s = 5
    message = "No more than {most} streams of changes may be open {whose} at a time."
    hint = "Close one, or ask the Describe actions now and then instead."


class Forbidden(ApiError):
    """UserEmail names nobody who may use the application."""

    code = "Forbidden"
    status = 403
    message = "User not authorized to operate on the specified resource."
