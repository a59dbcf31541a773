"""The console as an ASGI application: guards first, then the page, on a thread of the console's own.

Pages ask the API and wait for it. Were that done on the threads of the service
whose API it is, all of these could wait for each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from functools import partial
from typing import Any

from kiln.client.client import AnswerBroken, ApiFailure, Client
from kiln.client.parameters import ParameterRefused
from kiln.client.transport import Unreachable
from kiln.console.asking import (
    FORM,
    ROOT,
    Answer,
    Asked,
    Malformed,
    Pairs,
    go_to,
    of_scope,
    pairs,
    words,
)
from kiln.console.attempts import TooMany
from kiln.console.changes import BEAT_S, Changes, Pace
from kiln.console.pages import MENU, PAGES
from kiln.console.pages.entrance import LANGUAGE_COOKIE
from kiln.console.rendering import Renderer
from kiln.console.routing import Routes
from kiln.console.sessions import COOKIE, KEYS_GONE, Keys, Session, SessionsUnavailable, Who
from kiln.console.static import Static
from kiln.console.texts import Texts, preferred
from kiln.console.turns import Turns
from kiln.console.visit import NotFound, Page, Place, Visit, asked_from
from kiln.ground.journal import Journal
from kiln.ground.units import KiB

log = Journal("kiln.console")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Where a browser is told what changes, for as long as it looks.
CHANGES = "/changes"

_STATIC = "/static/"

_AT_ONCE = 4  #: Pages that are made at a time.
_OF_ONE = 2  #: Likewise of one account, whose slowest pages others are not to wait for.
_LONGEST_OF_STRANGERS = 16 * KiB  #: Of a form: an AccessKey is short.


class Console:
    """See the module. ``answer`` may be called from any thread."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._static = Static()
        self._renderer = Renderer(self._static, MENU)
        self._routes = Routes(PAGES)
        self._changes = Changes()
        self._turns = Turns(_AT_ONCE, _OF_ONE)
        self._lookups = Turns(_AT_ONCE, 1)

    @property
    def place(self) -> Place:
        """Which console it is."""
        return self._place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whose whole body is the first message."""
        body: bytes = (await receive()).get("body", b"")
        try:
            asked = of_scope(scope)
        except Malformed as error:
            asked, answer = Asked(method=scope["method"], path="/"), words(400, str(error))
        else:
            try:
                if self._looks(asked) and await self._told(asked, receive, send):
                    return
                answer = await self._made(asked, body)
            except SessionsUnavailable as error:
                answer = _unavailable(error)
        status, headers, sent = answer.spelled(asked)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": sent})

    def end(self) -> None:
        """Begin no page any more, and end the sessions that are this process's alone."""
        self._changes.end()
        self._turns.end()
        self._lookups.end()
        self._place.sessions.close()

    def _looks(self, asked: Asked) -> bool:
        """Whether a browser wants to be told of changes."""
        return (asked.method, asked.path) == ("GET", CHANGES) and self._place.hosts.knows(asked.host)

    async def _made(self, asked: Asked, body: bytes) -> Answer:
        """A page, when it is its turn. Raises SessionsUnavailable."""
        who = await self._whose(asked)
        if who is None and len(body) > _LONGEST_OF_STRANGERS:
            return words(413, "Who has not signed in sends no such form.")
        making = partial(self.answer, asked, body)
        if who is not None:
            return await self._turns.run(who.account, making)
        # Whoever has not signed in is known by an address, which no account is called, and there by the key he tries.
        return await self._turns.run(asked.peer, making, _key_tried(asked, body))

    async def _whose(self, asked: Asked) -> Who | None:
        """Who has signed in, maybe at another process of the deployment. Raises SessionsUnavailable."""
        name = asked.cookie(COOKIE)
        known = self._place.sessions.known(name)
        if known is not None or not name or asked.path.startswith(_STATIC):
            return known
        found = await self._found(asked)
        return None if found is None else found.who

    async def _found(self, asked: Asked) -> Session | None:
        """The session of a request. To look for it takes a thread; each address has one. Raises SessionsUnavailable."""
        return await self._lookups.run(asked.peer, partial(self._place.sessions.find, asked.cookie(COOKIE)))

    async def _told(self, asked: Asked, receive: Receive, send: Send) -> bool:
        """Tell a browser what changes until it leaves; whether it may be told at all. Raises SessionsUnavailable."""
        session, place = await self._found(asked), self._place
        if session is None or not self._changes.has_room(Keys(*session.client.keys)):
            return False
        keys = Keys(*session.client.keys)
        # Else nginx keeps what is told back until there is a page of it.
        unkept = (("x-accel-buffering", "no"),)
        status, headers, _ = Answer(kind="text/event-stream", headers=unkept).spelled(asked)
        endless = [one for one in headers if one[0] != b"content-length"]
        await send({"type": "http.response.start", "status": status, "headers": endless})
        await self._changes.serve(
            partial(Client, place.endpoint, *keys, session.region, clock=place.clock),
            keys,
            partial(self._lives, asked, Pace(BEAT_S)),
            receive,
            send,
        )
        return True

    async def _lives(self, asked: Asked, pace: Pace) -> bool:
        """Whether the session of one who is told changes lives: as far as is known here, and truly now and then."""
        name = asked.cookie(COOKIE)
        if self._place.sessions.known(name) is None:
            return False
        if not pace.is_due():
            return True
        try:
            return await self._lookups.run(asked.peer, partial(self._place.sessions.lives, name))
        except SessionsUnavailable:
            return True  # Nobody can say that it has ended, and it is asked again.

    def answer(self, asked: Asked, body: bytes = b"") -> Answer:
        """The answer to a request; never raises. To read a large form takes a while, in which others are answered."""
        before = asked_from.set(asked.peer)
        try:
            return self._answer(replace(asked, form=read_form(asked, body)) if body else asked)
        except Malformed as error:
            return words(400, str(error))
        except SessionsUnavailable as error:
            return _unavailable(error)
        except Exception:
            log.exception("console_crashed", path=asked.path)
            return words(500, "The console has failed here, and its log says how.")
        finally:
            asked_from.reset(before)

    def _answer(self, asked: Asked) -> Answer:
        if not self._place.hosts.knows(asked.host):
            return words(421, "This console is not called that. KILN_NAMES adds names that lead to it.")
        if asked.path.startswith(_STATIC):
            return self._static.find(asked.path.removeprefix(_STATIC)) or words(404, "There is no such file.")
        texts = Texts(asked.cookie(LANGUAGE_COOKIE) or preferred(asked.headers.get("accept-language", "")))
        session = self._place.sessions.find(asked.cookie(COOKIE))
        methods, args = self._routes.find(asked.path)
        visit = Visit(asked=asked, place=self._place, texts=texts, args=args, session=session)
        page = methods.get("GET" if asked.method == "HEAD" else asked.method)
        if page is None:
            if methods:
                return words(405, f"{ROOT}{asked.path} takes {' and '.join(methods)}, and no {asked.method}.")
            return self._shown("missing.html", visit, {}, 404)
        answer = self._refused(page, asked, session) or self._run(page, visit)
        if session is not None:
            self._keep(asked, session)
        return answer

    def _refused(self, page: Page, asked: Asked, session: Session | None) -> Answer | None:
        """The answer to what a page must not see: a change from elsewhere, and who has not signed in."""
        if page.method != "GET" and not asked.is_from_here:
            return words(403, "This was sent by a page of another site.")
        if page.is_open:
            return None
        if session is None:
            return go_to("/sign-in")
        if page.method != "GET" and not session.is_own(asked.given("form_token")):
            return words(
                403, "This was not sent by a form of this console, or by one of another session. Load it again."
            )
        return None

    def _keep(self, asked: Asked, session: Session) -> None:
        try:
            self._place.sessions.keep(asked.cookie(COOKIE), session)
        except SessionsUnavailable as error:
            # What was asked for is done; what is lost is the notice that says so.
            log.warning("console_session_not_kept", path=asked.path, reason=str(error))

    def _run(self, page: Page, visit: Visit) -> Answer:
        try:
            shown = page.run(visit)
            return shown if isinstance(shown, Answer) else self._shown(page.template, visit, shown)
        except NotFound as error:
            return self._shown("missing.html", visit, error.shown, 404)
        except TooMany as refused:
            visit.headers.append(("retry-after", str(refused.wait_s)))
            return self._shown("waiting.html", visit, {"wait_s": refused.wait_s}, 429)
        except ApiFailure as failure:
            return self._failed(visit, failure)
        except ParameterRefused as refused:
            return words(400, str(refused))  # The page of what is broken would say that the service is.
        except (Unreachable, AnswerBroken) as error:
            log.warning("console_unanswered", path=visit.asked.path, reason=str(error))
            return self._shown("broken.html", visit, {"what": str(error)}, 502)

    def _failed(self, visit: Visit, failure: ApiFailure) -> Answer:
        if failure.code in KEYS_GONE and visit.session is not None:
            self._place.sessions.end(visit.asked.cookie(COOKIE))
            return go_to("/sign-in")
        return self._shown("refused.html", visit, {"failure": failure}, failure.status)

    def _shown(self, template: str, visit: Visit, shown: Any, status: int = 200) -> Answer:
        body = self._renderer.render(template, visit, shown)
        return Answer(status=status, body=body, headers=tuple(visit.headers))


def read_form(asked: Asked, body: bytes) -> Pairs:
    """The fields of the form that was sent. Raises Malformed."""
    if asked.headers.get("content-type", FORM).partition(";")[0].strip().lower() != FORM:
        raise Malformed(f"a form is sent as {FORM}")
    try:
        return pairs(body.decode())
    except UnicodeDecodeError:
        raise Malformed("the form is no text") from None


def _key_tried(asked: Asked, body: bytes) -> str:
    """The ID of the key that a form of somebody unknown names; empty where it names none."""
    try:
        return next((value for name, value in read_form(asked, body) if name == "key_id"), "") if body else ""
    except Malformed:
        return ""  # It is told so when its turn comes.


def _unavailable(error: SessionsUnavailable) -> Answer:
    log.warning("console_sessions_unavailable", reason=str(error))
    return words(503, "Kiln's database does not answer just now. Load this again in a moment.")
