"""What a caller says of the system inside an instance: names, passwords, user data, and their rules.

Shared by whatever makes or changes instances. Sources: ecs-api.md 11 and the
official SDK's descriptions of RunInstances' parameters.
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any

from kiln.calls.sessions import ROLE_NAME
from kiln.declare.errors import ApiError
from kiln.declare.rules import Doc, Example, More, Name, Pattern, Secret
from kiln.ground import base64_text
from kiln.ground.units import KiB
from kiln.ground.values import dataclass

_LINUX_HOST = re.compile(r"[A-Za-z0-9]+([.-][A-Za-z0-9]+)*")
_WINDOWS_HOST = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_SHORTEST_HOST = 2
_LONGEST_HOST = {"windows": 15, "linux": 64}
_GZIP = b"\x1f\x8b"  #: Which cloud-init unpacks.
_MIME, _MIME_WITHIN = b"mime-version:", 4096  #: By which cloud-init knows parts: its ``user_data.py``.
_NESTING = (b"multipart/", b"message/")
_MOST_NESTED = 20
_SPECIAL = "()`~!@#$%^&*-_+=|{}[]:;'<>,.?/\\\""


class InvalidInstanceNameMalformed(ApiError):
    """The instance name breaks the rule for names."""

    code = "InvalidInstanceName.Malformed"
    message = 'The specified parameter "InstanceName" is not valid.'
    hint = (
        "It has to be 2 to 128 characters, a letter of any script first, then letters, digits, colons, underscores, "
        "dots and hyphens; not starting with http:// or https://."
    )


class InvalidHostNameMalformed(ApiError):
    """The host name breaks the rule for host names of that operating system."""

    code = "InvalidHostName.Malformed"
    message = 'The specified parameter "HostName" is not valid.'


class InvalidPasswordMalformed(ApiError):
    """The password breaks the rule for passwords."""

    code = "InvalidPassword.Malformed"
    message = 'The specified parameter "Password" is not valid.'


class InvalidPasswordParamMismatch(ApiError):
    """A Password was given, and PasswordInherit too."""

    code = "InvalidPasswordParam.Mismatch"
    message = "The input password should be null when passwdInherit is true."


class InvalidUserDataBase64FormatInvalid(ApiError):
    """The user data is not Base64."""

    code = "InvalidUserData.Base64FormatInvalid"
    message = "The specified UserData is not valid."


class InvalidUserDataSizeExceeded(ApiError):
    """The user data is too big."""

    code = "InvalidUserData.SizeExceeded"
    message = 'The specified parameter "UserData" exceeds the size.'


class InvalidRamRoleNotFound(ApiError):
    """No role can be called so."""

    code = "InvalidRamRole.NotFound"
    status = 404
    message = 'The specified parameter "RAMRoleName" does not exist.'


@dataclass(frozen=True)
class Strong:
    """The rule for passwords: so many characters, of at least three of four sorts."""

    least: int = 8
    most: int = 30
    sorts: int = 3
    error: type[ApiError] = InvalidPasswordMalformed

    def allows(self, value: str) -> bool:
        present = (
            any("a" <= c <= "z" for c in value),
            any("A" <= c <= "Z" for c in value),
            any("0" <= c <= "9" for c in value),
            any(c in _SPECIAL for c in value),
        )
        known = all(c in _SPECIAL or (c.isascii() and c.isalnum()) for c in value)
        return self.least <= len(value) <= self.most and known and sum(present) >= self.sorts

    def in_words(self) -> str:
        return (
            f"{self.least} to {self.most} characters, of at least {self.sorts} sorts: capital letters, small letters, "
            f"digits, {_SPECIAL}"
        )

    def counterexample(self) -> str:
        return "password"


@dataclass(frozen=True)
class Base64:
    """Base64 with its padding."""

    error: type[ApiError] = InvalidUserDataBase64FormatInvalid

    def allows(self, value: str) -> bool:
        try:
            base64_text.read(value)
        except base64_text.NotBase64:
            return False
        return True

    def in_words(self) -> str:
        return "Base64"

    def counterexample(self) -> str:
        return "a"


@dataclass(frozen=True)
class Raw:
    """Base64 of at most so many bytes."""

    most_bytes: int
    error: type[ApiError] = InvalidUserDataSizeExceeded

    def allows(self, value: str) -> bool:
        return len(base64_text.read(value)) <= self.most_bytes

    def in_words(self) -> str:
        return f"at most {self.most_bytes // KiB} KiB before the encoding"

    def counterexample(self) -> str:
        return base64.b64encode(b"x" * (self.most_bytes + 1)).decode()


INSTANCE_NAME = Name(2, 128, InvalidInstanceNameMalformed, any_script=True)

#: Of what is for the system inside: docs/decisions.md, Disks and instances.
_GIVEN = More("The guest agent sets it, for root or Administrator, when it first answers after the next start.")
TOLD = More("The guest finds it at the metadata service, as cloud-init does.")

InstanceName = Annotated[str, INSTANCE_NAME, Example("web-1"), Doc("The name of the instance.")]
HostName = Annotated[
    str,
    Example("web-1"),
    Doc(
        "The host name: letters, digits and hyphens, 2 to 15 characters and not digits alone for Windows; 2 to 64 "
        "characters, in segments with dots between them, for others."
    ),
    TOLD,
]
Password = Annotated[str, Secret(), Strong(), Example("EcsV587!"), Doc("The password of the administrator."), _GIVEN]
PasswordInherit = Annotated[
    bool,
    Doc(
        "Keep the image's password. Not together with Password. Without either nobody knows the guest's, unless user "
        "data sets one."
    ),
]
UserData = Annotated[
    str,
    Secret(),
    Base64(),
    Raw(32 * KiB),
    Example("ZWNobyBoZWxsbyBlY3Mh"),
    Doc("What cloud-init is to find in the guest, in Base64."),
    TOLD,
]

RamRoleName = Annotated[
    str,
    Pattern(ROLE_NAME, "1 to 64 letters, digits, periods and hyphens", "no role", InvalidRamRoleNotFound),
    Example("build"),
]
OF_ROLE = More("The guest finds keys of it at the metadata service, which sign as the account does.")


def check_host_name(name: str, os_type: str) -> None:
    """Raise InvalidHostNameMalformed unless a guest of that operating system can be called so."""
    if os_type == "windows":
        is_fine = bool(_WINDOWS_HOST.fullmatch(name)) and not name.isdigit()
    else:
        is_fine = bool(_LINUX_HOST.fullmatch(name))
    if not is_fine or not _SHORTEST_HOST <= len(name) <= _LONGEST_HOST[os_type]:
        raise InvalidHostNameMalformed(host_name=name)


def check_password(password: str | None, inherit: bool | None, os_type: str) -> None:
    """Raise InvalidPasswordParamMismatch, or InvalidPasswordMalformed for what Windows does not take."""
    if password and inherit:
        raise InvalidPasswordParamMismatch
    if password and os_type == "windows" and password.startswith("/"):
        raise InvalidPasswordMalformed


def of_new_system(password: str, user_data: str, *, inherit: bool) -> dict[str, Any]:
    """What the row of an instance says of passwords when its system is a new one.

    It is given *password*, sealed; where that is empty one that nobody knows, unless it is to *inherit* the image's.
    Not where *user_data*, in Base64, may set one itself: whichever came last would win.
    """
    due = bool(password) or not (inherit or _may_set_passwords(user_data))
    return {"password": password, "password_inherit": inherit, "password_due": due}


def _may_set_passwords(user_data: str) -> bool:
    try:
        said = base64_text.read(user_data)
    except base64_text.NotBase64:
        return True  # Of an older Kiln, which took it as it came: nobody knows what the guest makes of it.
    parts = _parts_of(said)
    return parts is None or any(map(_may_set_one, parts))


def _may_set_one(part: bytes) -> bool:
    """Whether what cloud-init finds there sets a password, or is not told here: packed, or at another address."""
    lowered = part.lower()
    return part.startswith(_GZIP) or lowered.lstrip().startswith(b"#include") or b"passw" in lowered


def _parts_of(said: bytes) -> list[bytes] | None:
    """The parts that cloud-init makes of user data, none of them encoded; None where there is no end of parts."""
    lowered = said.lower()
    if _MIME not in lowered[:_MIME_WITHIN]:
        return [said]
    if sum(map(lowered.count, _NESTING)) > _MOST_NESTED:
        return None  # Each would be read within another.
    # Most user data has no parts, and what reads them is loaded by nobody else.
    from email import message_from_bytes  # noqa: PLC0415

    found = message_from_bytes(said).walk()
    payloads = (one.get_payload(decode=True) for one in found if not one.is_multipart())
    return [payload for payload in payloads if isinstance(payload, bytes)]
