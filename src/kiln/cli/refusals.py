"""What is said, and with which exit code, when a word does not succeed."""

from __future__ import annotations

import errno
import re

from kiln.cli import exits, output
from kiln.cli.exits import Exit, OutputLost, Refusal
from kiln.cli.naming import in_region, noun_by_id, region_of, word_of
from kiln.cli.session import open_client
from kiln.cli.spelling import noun_of
from kiln.client import catalogue
from kiln.client.client import SERVER_ERROR, AnswerBroken, ApiFailure
from kiln.client.parameters import ParameterRefused
from kiln.client.transport import EndpointRefused, Unreachable
from kiln.client.waiters import WaitFailed, WaitTooLong
from kiln.service.backups.errors import BackupBroken, BackupRefused
from kiln.service.errors import (
    AuthorityBroken,
    CephUnusable,
    CertificateAbsent,
    DatabaseAbsent,
    DatabaseDamaged,
    DatabaseHeld,
    DatabaseNewer,
    DatabaseOlder,
    DatabaseUnusable,
    DataFolderBusy,
    DataFolderRefused,
    DeploymentRefused,
    KeyAbsent,
    PoolHeld,
    PoolUnusable,
    SecretBroken,
    SettingRefused,
    SharedFolderRefused,
)

_WAYS_OUT = (
    "Move kiln.sqlite* out of the data folder, and put a whole copy of all three back or run `kiln fsck --rebuild`: "
    "docs/howto/back-up-and-put-back.md says more."
)

_KEY_LOST = (
    "Is it on a file system that is not mounted? Put this data folder's own master.key back, from a copy of it. "
    "Where there is none, `kiln account reset-keys` makes a new one and new secrets; nothing else is lost."
)

_AUTHORITY_LOST = (
    "Put ca.key and ca.pem back, from a copy of both. Where there is none, remove what is left of them: the next start "
    "makes new ones, which clients have to be told (`kiln ca`). Without --tls Kiln serves meanwhile, without TLS."
)

_POOL_CLOSED = (
    "The pool must be Kiln's own to read and to write: on a file system that is mounted so, and of Kiln's user. "
    "`kiln fsck --no-repair` looks at one that can only be read. Nothing was changed in it."
)

_CEPH = (
    "KILN_CEPH_CONF names Ceph's configuration, which names the monitors and the keyring, and KILN_CEPH_USER whose key "
    "is used: `ceph -s --conf FILE --id USER` has to answer on this machine. Nothing was changed."
)

_NOT_SHARED = (
    "It is never made: is it mounted? docs/howto/shared-folder.md says with which options. Nothing was changed."
)

_NOT_OURS = (
    "Nothing was touched. Name one that is empty, with --data, or with --shared where it is that one; what --data "
    "names need not be there yet."
)

_ONE_POOL = (
    "One pool has one database: stop the Kiln that works with it, or name its data folder with --data. A copy of a "
    "data folder takes a copy of the pool. Nothing was changed in it."
)

_NO_DATABASE = (
    "Where its disk is full make room: even reading needs 32 KiB. With PostgreSQL: does the server run, is "
    "--database (KILN_DATABASE) the right one, and may this user read the file that KILN_DATABASE_PASSWORD_FILE names? "
    "`kiln doctor` says more."
)

_OLDER = (
    "`kiln serve` of this version upgrades it, and keeps a copy first. A service that still runs is of the version "
    "before: stop it, and start it again."
)

_NEWER = (
    "A newer Kiln has upgraded it: use that version, or put back the copy that it kept before, a file that ends in .of-"
    " and a number."
)

#: What the client and the service raise, the exit code that it ends with, and advice.
_KNOWN: tuple[tuple[type[Exception], Exit, str], ...] = (
    (SettingRefused, exits.SETTINGS, ""),
    (PoolHeld, exits.SETTINGS, _ONE_POOL),
    (DataFolderBusy, exits.SETTINGS, "One data folder has one service: stop it first, or name another with --data."),
    (DataFolderRefused, exits.SETTINGS, _NOT_OURS),
    (SharedFolderRefused, exits.FILE, _NOT_SHARED),
    (SecretBroken, exits.FILE, _KEY_LOST),
    (AuthorityBroken, exits.FILE, _AUTHORITY_LOST),
    (CertificateAbsent, exits.FILE, "`kiln serve` makes it at its first start."),
    (KeyAbsent, exits.SETTINGS, "`kiln account keys add ACCOUNT` makes another, `kiln account keys list` shows them."),
    (BackupBroken, exits.UNSOUND, "Nothing was made of it. An older backup may be whole."),
    (DeploymentRefused, exits.FILE, "docs/howto/back-up-and-put-back.md says more. Nothing was changed."),
    (CephUnusable, exits.FILE, _CEPH),
    (PoolUnusable, exits.FILE, _POOL_CLOSED),
    (DatabaseHeld, exits.SETTINGS, "Who needs a database alone waits until nobody serves it: stop who does first."),
    (DatabaseDamaged, exits.UNSOUND, _WAYS_OUT),
    (DatabaseAbsent, exits.FILE, "`kiln serve` makes it, and its keys; or name the folder of one with --data."),
    (DatabaseOlder, exits.FILE, _OLDER),
    (DatabaseNewer, exits.FILE, _NEWER),
    (DatabaseUnusable, exits.FILE, _NO_DATABASE),
    (EndpointRefused, exits.SETTINGS, "KILN_ENDPOINT must be of the form http://HOST:PORT."),
    (ParameterRefused, exits.USAGE, "`kiln call ACTION --help` lists what an action takes."),
    (Unreachable, exits.UNREACHABLE, "`kiln serve` starts the service; KILN_ENDPOINT says where it is looked for."),
    (AnswerBroken, exits.SERVICE_FAILED, "Does KILN_ENDPOINT name a Kiln?"),
    (WaitTooLong, exits.TOO_LONG, "--timeout sets how long to wait."),
)


#: What may be done about what the host refuses.
_OF_HOST: dict[int, str] = {
    errno.ENOSPC: "Make room on that file system.",
    errno.EDQUOT: "Make room on that file system: its quota is used up.",
    errno.EROFS: "That file system can only be read.",
    errno.EIO: "The disk or the file system fails: the kernel's log (`dmesg`) says more.",
    errno.EACCES: "The file belongs to another user, or a folder above it does.",
    errno.EADDRINUSE: "Another program listens there: `ss -ltnp` shows which. --listen names another address, "
    "127.0.0.1:0 a free port.",
    errno.EADDRNOTAVAIL: "No interface of this machine has that address: `ip address` shows those that there are.",
}

_AN_ID = re.compile(r"\b[a-z]+-[a-z0-9]{20}\b")

#: The end of a code for a value that is right as it is spelled, and that another has.
_OF_ANOTHER = "Duplicated"

_TEMPLATE = "LaunchTemplateName"  #: What names a launch template by itself, with no ID; the service looks it up.

#: Said of a wrong secret; its message holds what was signed, and is for who writes a signer.
_UNPROVEN = "SignatureDoesNotMatch"


def explain(error: Exception, about: str = "") -> Exit | None:
    """Say on standard error what happened, *about* which of several; returns the exit code.

    None for an error that is a fault of ours, of which nothing is said.
    """
    said = f"{about}: " if about else ""
    if isinstance(error, ApiFailure):
        return _explain_failure(error, said)
    if isinstance(error, Refusal | BackupRefused | WaitFailed):
        _say(said + str(error), error.hint)
        of_others = exits.FAILED_LATER if isinstance(error, WaitFailed) else exits.FILE
        return error.code if isinstance(error, Refusal) else of_others
    if isinstance(error, OutputLost):
        return explain_lost(error)
    if isinstance(error, OSError):
        # What the host refuses is the host's to mend: no traceback would say more than the file and the reason.
        named = " and ".join(str(one) for one in (error.filename, error.filename2) if one is not None)
        _say(f"{said}{named or 'this machine'}: {error.strerror or error}", advice_of_host(error))
        return exits.FILE
    for kind, code, hint in _KNOWN:
        if isinstance(error, kind):
            _say(said + str(error), hint)
            return code
    return None


def advice_of_host(error: OSError) -> str:
    """What may be done about what the host refuses; empty where nothing is known."""
    if error.errno == errno.EACCES and error.filename is None:
        return ""  # What has no name is no file: another user's file it cannot be.
    return _OF_HOST.get(error.errno or 0, "")


def explain_lost(error: OutputLost) -> Exit:
    """The same of an output that cannot be written. Of one whose reader went nothing is said."""
    if not str(error):
        return exits.UNREAD
    _say(f"standard output cannot be written: {error}", "What was asked for may be done; its answer is lost.")
    return exits.FILE


def _explain_failure(failure: ApiFailure, said: str) -> Exit:
    known = catalogue.load()
    if failure.action in known and failure.code and failure.code == known.action(failure.action).dry_run:
        output.note("Every check passed; nothing was changed.")
        return exits.DONE
    if failure.code == _UNPROVEN:
        _say(
            f"{_UNPROVEN}: the secret in KILN_ACCESS_KEY_SECRET is not that of KILN_ACCESS_KEY_ID",
            '`eval "$(kiln env)"` sets both where the service runs.',
        )
    else:
        _say(f"{said}{failure.code}: {failure.message}", _elsewhere(failure) or failure.hint or _right(failure))
    output.note(f"RequestId {failure.request_id}")
    return exits.SERVICE_FAILED if failure.status >= SERVER_ERROR else exits.REFUSED


def _elsewhere(failure: ApiFailure) -> str:
    """Where it is in another region what an ID asked for, and was not found."""
    if "NotFound" not in failure.code:
        return ""
    ids = {
        text: noun for value in failure.asked.values() for text in _AN_ID.findall(value) if (noun := noun_by_id(text))
    }
    if name := failure.asked.get(_TEMPLATE, ""):
        ids[name] = "launch_template"
    try:
        with open_client(failure.asked.get("RegionId")) as client:
            found = {text: region_of(client, noun, text) for text, noun in ids.items()}
    except (Refusal, ApiFailure, AnswerBroken, Unreachable):
        return ""  # What could not be looked for is not what is to be said.
    return " ".join(in_region(text, region) for text, region in found.items() if region)


def _right(failure: ApiFailure) -> str:
    """What would be right, where the code names a parameter: its values or its rule, or where its IDs are listed."""
    known = catalogue.load()
    named, _, kind = failure.code.removeprefix("Invalid").partition(".")
    if failure.action not in known or named == failure.code or kind == _OF_ANOTHER:
        return ""
    if kind == "NotFound" and (noun := noun_of(named)):
        values = [value for name, value in failure.asked.items() if name.startswith(named)]
        other = "" if all(map(_AN_ID.search, values)) else " `kiln call` takes IDs alone, and no names."
        return f"`kiln {word_of(noun)} list` shows those that there are.{other}"
    request = known.action(failure.action).request
    for part in (*request.parts, *(inner for outer in request.parts for inner in outer.parts)):
        if named.endswith(part.name) and (part.choices or part.rules):
            right = f"one of {', '.join(part.choices)}" if part.choices else "; ".join(part.rules)
            return f"It has to be {right}."
    return ""


def _say(message: str, hint: str) -> None:
    output.note(f"kiln: {message}")
    if hint:
        output.note(f"({hint})")
