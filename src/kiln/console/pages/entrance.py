"""The ways in and out: the link that does once, the AccessKey, the language, the region, and leaving."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kiln.client.client import ApiFailure
from kiln.console.asking import ENTER, LINKS, Answer, cookie, go_to, link_path, words
from kiln.console.attempts import TooMany
from kiln.console.sessions import COOKIE, KEYS_GONE, LONGEST_S, Keys
from kiln.console.texts import LANGUAGES
from kiln.console.visit import NotFound, Page, Shown, Visit
from kiln.ground.journal import Journal
from kiln.ground.peers import name_of

log = Journal("kiln.console")

Result = TypeVar("Result")

LANGUAGE_COOKIE = "kiln_language"

_LONGEST_ID = 128  #: Of a key; what is longer is none, and is not kept.
_A_YEAR_S = 365 * 24 * 3600


def enter(visit: Visit) -> Shown | Answer:
    """Sign in by a link. What comes of it is a page that goes on by itself, not a redirection.

    A browser that follows a redirection from a page elsewhere, as a terminal in a
    browser is, would keep the session's cookie back, which is for our pages alone.
    """
    # Who asks for the head alone looks where the link leads, and is no browser that keeps a session.
    if not visit.asked.is_safe or visit.asked.method == "HEAD":
        return {"way": "form", "is_safe": False, "key_id": "", "failure": None}
    link = visit.place.sessions.redeem(visit.asked.asked("token"))
    if link is None:
        return {"way": "used", "is_beside": visit.place.is_beside, "endpoint": visit.place.endpoint}
    is_operators = link.is_operators and visit.asked.is_of_this_host
    return _entered(visit, link.keys, visit.place.sign_in(link.keys, is_operators=is_operators))


def _can_be_keys(keys: Keys) -> bool:
    """Whether a request can be signed with them: the ID travels in a header."""
    return all(keys) and all(" " < one <= "~" for one in keys.id)


def _tried(visit: Visit, keys: Keys, attempt: Callable[[Keys], Result]) -> Result:
    """What *attempt* gives of keys that somebody typed. Raises TooMany, and what *attempt* raises."""
    attempts, pair = visit.place.sessions.attempts, (name_of(visit.asked.peer), keys.id[:_LONGEST_ID])
    attempts.take(*pair)
    try:
        result = attempt(keys)
    except BaseException as error:
        if not isinstance(error, ApiFailure) or error.code not in KEYS_GONE:
            attempts.give_back(*pair)
        raise
    attempts.forget(*pair)
    return result


def _entered(visit: Visit, keys: Keys, name: str) -> Shown:
    log.info("console_entered", key=keys.id, language=visit.texts.language)
    visit.headers.append(cookie(COOKIE, name, visit.asked, seconds=LONGEST_S))
    return {"way": "entered"}


def show_sign_in(visit: Visit) -> Shown | Answer:
    """The form for an AccessKey."""
    if visit.session is not None:
        return go_to("/")
    return {"way": "form", "is_safe": visit.asked.is_safe, "key_id": "", "failure": None}


def sign_in(visit: Visit) -> Shown | Answer:
    """Sign in with an AccessKey."""
    if not visit.asked.is_safe:
        return words(403, "An AccessKey does not travel in the clear: come by https:// or from this host.")
    keys = Keys(visit.asked.given("key_id").strip(), visit.asked.given("key_secret").strip())
    if not _can_be_keys(keys):
        return go_to("/sign-in")
    try:
        return _entered(visit, keys, _tried(visit, keys, visit.place.sign_in))
    except ApiFailure as failure:
        return {"way": "form", "is_safe": True, "key_id": keys.id, "failure": failure}


def make_link(visit: Visit) -> Answer:
    """A link for who has the keys: ``kiln console`` asks for it, and proves whose it is. The answer is its path."""
    if not visit.asked.is_safe:
        return words(403, "An AccessKey does not travel in the clear: come by https:// or from this host.")
    keys = Keys(visit.asked.given("key_id"), visit.asked.given("key_secret"))
    if not _can_be_keys(keys):
        return words(400, "Neither key_id nor key_secret may be empty, and a key's ID has no such characters.")
    try:
        _tried(visit, keys, visit.place.prove)  # A session of it would be one of the few that the account may have.
    except TooMany as refused:
        return words(429, str(refused))
    except ApiFailure as failure:
        return words(403, str(failure))
    is_operators = visit.asked.is_of_this_host and visit.place.is_proof(visit.asked.given("proof"))
    return words(201, link_path(visit.place.sessions.make_link(keys, is_operators=is_operators)))


def sign_out(visit: Visit) -> Answer:
    """End the session."""
    log.info("console_left", key=visit.signed.key_id)
    visit.place.sessions.end(visit.asked.cookie(COOKIE))
    return go_to("/sign-in", cookie(COOKIE, "", visit.asked, seconds=0))


def choose_language(visit: Visit) -> Answer:
    """Remember a language, and go back."""
    wanted = visit.asked.asked("to")
    if wanted not in LANGUAGES:
        raise NotFound
    return go_to(_back(visit.asked.asked("back")), cookie(LANGUAGE_COOKIE, wanted, visit.asked, seconds=_A_YEAR_S))


def choose_region(visit: Visit) -> Answer:
    """Look at another region from here on."""
    wanted = visit.asked.given("region")
    if wanted not in visit.signed.regions:
        raise NotFound
    visit.signed.region = wanted
    return go_to("/")


def _back(path: str) -> str:
    """A path of our own to go back to: nobody has us send a browser elsewhere."""
    is_own = path.startswith("/") and not path.startswith("//") and path.isprintable() and "\\" not in path
    return path if is_own and path.isascii() else "/"


PAGES = (
    Page(at=ENTER, run=enter, template="entrance.html", is_open=True),
    Page(at="/sign-in", run=show_sign_in, template="entrance.html", is_open=True),
    Page(at="/sign-in", run=sign_in, method="POST", template="entrance.html", is_open=True),
    Page(at=LINKS, run=make_link, method="POST", is_open=True),
    Page(at="/sign-out", run=sign_out, method="POST"),
    Page(at="/language", run=choose_language, is_open=True),
    Page(at="/region", run=choose_region, method="POST"),
)
