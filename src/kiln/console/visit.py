"""What a page's function is given: who asks, for what, in which language, and the API to ask on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from contextvars import ContextVar
from dataclasses import field
from typing import Any

from kiln.client.catalogue import Catalogue
from kiln.client.client import Client
from kiln.client.reasons import reasons
from kiln.console.asking import ROOT, THROUGH, Answer, Asked
from kiln.console.hosts import Hosts
from kiln.console.sessions import Keys, Session, Sessions, Who
from kiln.console.texts import Texts
from kiln.ground.clock import Clock, system_clock
from kiln.ground.values import dataclass
from kiln.ground.vouching import Voucher

#: The address of the browser that is answered on this thread.
asked_from: ContextVar[str] = ContextVar("asked_from", default="")

#: What the templates of pages see.
Shown = Mapping[str, Any]


class NotFound(Exception):
    """There is no such page, or nothing of that ID that the caller may see."""

    def __init__(self, shown: Shown | None = None) -> None:
        super().__init__()
        self.shown: Shown = {} if shown is None else shown  #: Of what is missing, where it is known what it was.


@dataclass(frozen=True, kw_only=True)
class Place:
    """A console: which API it is a client of, in which region it begins, and the names that lead to it."""

    endpoint: str
    region: str
    hosts: Hosts
    sessions: Sessions
    is_beside: bool = True
    """Whether the API's own server has the console; else what a page needs of it passes through the console."""
    clock: Clock = system_clock
    is_proof: Callable[[str], bool] = lambda _: False  #: Whether a text proves that its sender is the operator.
    voucher: Voucher | None = None  #: Of a console beside the API, which believes it from where a browser has asked.

    def introduce(self) -> Mapping[str, str]:
        """The headers by which the API is told for whom it is asked, while a browser is answered."""
        return {} if self.voucher is None else self.voucher.say(asked_from.get())

    def reached(self, path: str) -> str:
        """Where a browser that is at a page reaches what lies at *path* of the service: objects and terminals."""
        return path if self.is_beside else f"{ROOT}{THROUGH}{path}"

    def client(self, keys: Keys, region: str) -> Client:
        """A client of the API for a browser's pages."""
        return Client(self.endpoint, *keys, region, clock=self.clock, beside=self.introduce)

    def prove(self, keys: Keys) -> None:
        """Return when the API has said that *keys* are somebody's; no session is begun. Raises what ``call`` raises."""
        with closing(self.client(keys, self.region)) as client:
            client.call("GetCallerIdentity")

    def sign_in(self, keys: Keys, *, is_operators: bool = False) -> str:
        """Begin a session with *keys*, once the API has said whose they are; returns its name.

        Raises what ``Client.call`` and ``Sessions.begin`` raise.
        """
        client = self.client(keys, self.region)
        try:
            told = client.call("GetCallerIdentity")
            regions = tuple(str(one["RegionId"]) for one in client.rows("DescribeRegions"))
        except BaseException:
            client.close()
            raise
        # A console that was told no region, as one of a Kiln elsewhere may be, begins in the first that there is.
        client.region = client.region or next(iter(regions), "")
        who = Who(str(told["AccountId"]), str(told.get("Arn", "")))
        try:
            return self.sessions.begin(client, keys, who, regions, is_operators=is_operators)
        except BaseException:
            client.close()
            raise


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request for a page."""

    asked: Asked
    place: Place
    texts: Texts
    args: Mapping[str, str] = field(default_factory=dict)  #: What the path has where the page's has a name in braces.
    session: Session | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)  #: Sent with the page beside its own.

    @property
    def signed(self) -> Session:
        """The session. Of a page that is open to all there may be none, and nobody may ask there."""
        assert self.session is not None
        return self.session

    @property
    def catalogue(self) -> Catalogue:
        """What the API declares."""
        return self.signed.client.catalogue

    def call(self, action: str, params: Mapping[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
        """The answer of an action in the session's region. Raises what ``Client.call`` raises."""
        return self.signed.client.call(action, self._placed(action, {**(params or {}), **more}))

    def call_once(self, action: str) -> dict[str, Any]:
        """The same with one try, for a page that has something to say meanwhile."""
        return self.signed.client.call_once(action, self._placed(action, {}))

    def _placed(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        if self.catalogue.action(action).parameter("RegionId") is not None:
            given.setdefault("RegionId", self.signed.region)
        return given

    def reasons(self, resource: str) -> list[Mapping[str, str]]:
        """Why a resource is as it is, the newest first, where that can be told. Raises what ``Client.call`` raises."""
        found: list[Mapping[str, str]] = self.told(resource)["Reasons"]["Reason"]
        return found

    def told(self, resource: str) -> Mapping[str, Any]:
        """All that DescribeReasons tells of a resource; its ``reasons`` are among it, and may be all there is."""
        return reasons(self.signed.client, resource, self.signed.region)

    def say(self, notice: str) -> None:
        """Have the next page begin with a notice."""
        self.signed.notices.append(notice)


@dataclass(frozen=True)
class Way:
    """An entry of the menu that every page has."""

    at: str
    text: str  #: The name of its text.


Run = Callable[[Visit], "Shown | Answer"]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page, as it is declared. Each change is a page of its own with the method POST, whose form proves itself."""

    at: str  #: Below ``/console``: ``/images/{id}``; what stands in braces is whatever has no slash.
    run: Run
    method: str = "GET"
    template: str = ""  #: Of what *run* shows; none where it always answers itself.
    is_heavy: bool = False  #: Whether it brings files of its own, beside what every page has.
    is_open: bool = False  #: Whether it is for those who have not signed in as well.
