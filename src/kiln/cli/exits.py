"""The exit codes, all of them, and the error that ends a word with one; ``docs/reference/cli.md`` shows this table."""

from __future__ import annotations

from kiln.ground.values import dataclass


@dataclass(frozen=True)
class Exit:
    """One exit code."""

    number: int
    meaning: str


DONE = Exit(0, "Done; of a dry run: every check passed.")
OUR_FAULT = Exit(1, "Kiln itself has a fault; the traceback says where.")
USAGE = Exit(2, "The command line is not understood, or a parameter is none of the action's.")
SETTINGS = Exit(3, "The endpoint, the keys or another setting is missing or cannot be.")
REFUSED = Exit(4, "The service refused the request: the message, a hint and the RequestId are on standard error.")
SERVICE_FAILED = Exit(5, "The service failed (5xx), or what answered is not the service.")
UNREACHABLE = Exit(6, "The service could not be reached.")
FAILED_LATER = Exit(7, "The request was accepted, but what it started failed, or its resource is gone.")
TOO_LONG = Exit(8, "Waiting took longer than --timeout; the work goes on.")
FILE = Exit(9, "A file or folder of this machine, or standard output, cannot be read, written or used.")
UNSOUND = Exit(10, "What was examined is not sound.")
PARTLY = Exit(11, "Done but for a part, which is named.")
NOT_RUN = Exit(126, "The command that `run` was given cannot be run; else `run` ends as the command does.")
NOT_FOUND = Exit(127, "There is no such command as `run` was given.")
HUNG_UP = Exit(129, "Ended by SIGHUP, as when the terminal went; what was begun here was taken away.")
INTERRUPTED = Exit(130, "Interrupted from the keyboard; what was started goes on.")
UNREAD = Exit(141, "Whoever read the output, as `| head` does, wanted no more of it.")
TERMINATED = Exit(143, "Ended by SIGTERM; what was begun here was taken away.")

ALL = (
    DONE, OUR_FAULT, USAGE, SETTINGS, REFUSED, SERVICE_FAILED, UNREACHABLE, FAILED_LATER, TOO_LONG, FILE, UNSOUND,
    PARTLY, NOT_RUN, NOT_FOUND, HUNG_UP, INTERRUPTED, UNREAD, TERMINATED,
)  # fmt: skip


class Refusal(Exception):
    """A word cannot do what it was asked for: a message, advice where there is some, and an exit code."""

    def __init__(self, message: str, code: Exit, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class OutputLost(Exception):
    """Standard output cannot be written: a reason, or none where its reader went away, which is no error of anybody."""
