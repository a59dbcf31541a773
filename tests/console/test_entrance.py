"""Who comes in, how often by one link, from where, and for how long."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest

from kiln.client.client import Client
from kiln.console.app import Console
from kiln.console.asking import read_cookies
from kiln.console.attempts import MOST as MOST_TRIES
from kiln.console.attempts import WINDOW_S, MemoryAttempts, TooMany
from kiln.console.sessions import MOST, Keys, MemorySessions, Sessions, Who
from tests.clouds import ACCOUNT, OTHER
from tests.console.window import Browser

KEYS = Keys(ACCOUNT, f"secret-{ACCOUNT}")


@pytest.fixture
def visitor(shared) -> Browser:
    """A browser that has not signed in."""
    return shared.other()


def test_a_link_signs_in_once(visitor):
    link = f"/enter?token={visitor.sessions.make_link(KEYS)}"

    first = visitor.get(link)
    again = visitor.other().get(link)

    assert [given["content"] for tag, given in first.tags if "http-equiv" in given] == ["0; url=/console/"]
    assert visitor.get("/").status == 200
    assert again.header("set-cookie") == ""
    assert "this makes another: kiln console Where" in again.words
    assert "kiln console --data FOLDER" in again.words


def test_a_link_that_is_only_looked_at_is_not_used_up(visitor):
    link = f"/enter?token={visitor.sessions.make_link(KEYS)}"

    visitor.ask("HEAD", link, b"")
    visitor.get(link)
    assert visitor.get("/").status == 200


def test_a_link_that_nobody_made_signs_nobody_in(visitor):
    for token in ("", "x", "龘"):
        visitor.get(f"/enter?token={token and token.encode().hex()}")

    assert visitor.get("/").place == "/sign-in"


def test_the_cookie_of_a_session_is_for_our_pages_alone_and_no_script_reads_it(visitor):
    link = f"/enter?token={visitor.sessions.make_link(KEYS)}"
    kept = visitor.get(link).header("set-cookie").split("; ")

    assert kept[0].startswith("kiln_session_8787=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/console"} <= set(kept)
    assert "Secure" not in kept
    secure = replace(visitor, scheme="https", cookies={})
    assert "Secure" in secure.get(f"/enter?token={visitor.sessions.make_link(KEYS)}").header("set-cookie").split("; ")


def test_an_access_key_signs_in_and_is_on_no_page(visitor):
    page = visitor.post("/sign-in", {"key_id": KEYS.id, "key_secret": KEYS.secret})

    assert page.status == 200
    assert visitor.get("/").status == 200
    assert KEYS.secret not in page.text + visitor.get("/").text


def test_wrong_keys_are_refused_in_the_services_words(visitor):
    page = visitor.post("/sign-in", {"key_id": KEYS.id, "key_secret": "mistaken"})

    assert "SignatureDoesNotMatch" in page.words
    assert "mistaken" not in page.text
    assert visitor.get("/").place == "/sign-in"


@pytest.mark.parametrize("path", ["/sign-in", "/links"])
def test_keys_are_not_taken_in_the_clear_from_another_machine(visitor, path):
    far = replace(visitor, peer="192.0.2.7")
    fields = {"key_id": KEYS.id, "key_secret": KEYS.secret}

    assert far.post(path, fields).status == 403
    assert replace(far, scheme="https").post(path, fields).status in (200, 201)
    assert "https://" in replace(far, cookies={}).get("/sign-in").words


@pytest.mark.parametrize(
    ("said", "is_taken"),
    [
        ({}, True),
        ({"x_forwarded_proto": "https"}, True),
        ({"x_forwarded_proto": "http"}, False),
        ({"x_forwarded_for": "192.0.2.7"}, False),
        ({"forwarded": "for=192.0.2.7;proto=http"}, False),
        ({"x_forwarded_for": "192.0.2.7", "x_forwarded_proto": "https"}, True),
    ],
    ids=str,
)
def test_takes_keys_from_a_proxy_of_this_machine_where_it_says_that_it_has_them_by_tls(visitor, said, is_taken):
    answer = visitor.post("/sign-in", {"key_id": KEYS.id, "key_secret": KEYS.secret}, **said)

    assert (answer.status == 200) is is_taken
    assert ("Secure" in answer.header("set-cookie")) is ("https" in said.values())


def test_a_header_of_proxies_makes_nothing_safe_that_comes_from_elsewhere(visitor):
    far = replace(visitor, peer="192.0.2.7")
    fields = {"key_id": KEYS.id, "key_secret": KEYS.secret}

    assert far.post("/sign-in", fields, x_forwarded_proto="https").status == 403


def test_a_link_is_not_used_up_by_who_comes_in_the_clear_from_another_machine(visitor):
    link = f"/enter?token={visitor.sessions.make_link(KEYS)}"

    assert "https://" in replace(visitor, peer="192.0.2.7", cookies={}).get(link).words
    visitor.get(link)
    assert visitor.get("/").status == 200


def test_signs_nobody_in_by_a_form_on_another_sites_page(visitor):
    fields = {"key_id": KEYS.id, "key_secret": KEYS.secret}

    assert visitor.post("/sign-in", fields, sec_fetch_site="cross-site").status == 403


def test_reads_cookies_as_they_stand_there_and_unquotes_none():
    assert read_cookies('a=1; b="\\101\\\\" ;c; =;d=e=f') == {"a": "1", "b": '"\\101\\\\"', "": "", "d": "e=f"}


def test_an_origin_that_is_no_url_is_elsewhere(visitor):
    assert visitor.post("/sign-in", {"key_id": "a", "key_secret": "b"}, origin="http://[").status == 403


def test_gives_a_link_to_who_has_the_keys(visitor):
    made = visitor.post("/links", {"key_id": KEYS.id, "key_secret": KEYS.secret})
    refused = visitor.post("/links", {"key_id": KEYS.id, "key_secret": "wrong"})

    assert (made.status, refused.status) == (201, 403)
    assert visitor.get(made.text.strip().removeprefix("/console")).status == 200
    assert visitor.get("/").status == 200


def test_a_link_is_given_without_a_session_that_could_end_one_of_those_there_are(window):
    browsers = [window, *(window.other() for _ in range(MOST - 1))]
    for browser in browsers:
        browser.sign_in()

    assert window.other().post("/links", {"key_id": KEYS.id, "key_secret": KEYS.secret}).status == 201

    assert [browser.sessions.known(next(iter(browser.cookies.values()))) for browser in browsers].count(None) == 0


class HeldAttempts(MemoryAttempts):
    """Who tries one of the keys is let go one by one."""

    def __init__(self, clock) -> None:
        super().__init__(clock)
        self.gate = threading.Semaphore(0)

    def take(self, peer, key_id):
        if key_id == "guessed":
            assert self.gate.acquire(timeout=300)
        super().take(peer, key_id)


def test_who_tries_a_key_again_and_again_costs_another_at_his_address_one_try(window):
    attempts = window.sessions.attempts = HeldAttempts(window.cloud.clock)
    kind = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}

    def try_it(key_id):
        form = urlencode({"key_id": key_id, "key_secret": KEYS.secret}).encode()
        return asyncio.ensure_future(window.other().asked("POST", "/sign-in", form, **kind))

    async def ask():
        guessed = [try_it("guessed") for _ in range(20)]
        await asyncio.sleep(0)
        other = try_it(KEYS.id)
        await asyncio.sleep(0)
        attempts.gate.release(2)  # As many of an address as are tried at a time.
        try:
            return await asyncio.wait_for(other, 60)
        finally:
            attempts.gate.release(len(guessed))
            await asyncio.gather(*guessed)

    assert asyncio.run(ask()).status == 200


@pytest.mark.parametrize("key", [{"key_id": "a\0b"}, {"key_id": "é"}, {"key_id": ""}, {"key_secret": ""}])
def test_gives_no_link_for_what_is_no_key(visitor, key):
    assert visitor.post("/links", {"key_id": KEYS.id, "key_secret": KEYS.secret} | key).status == 400


def test_a_session_ends_when_one_signs_out(visitor):
    visitor.sign_in()
    kept = dict(visitor.cookies)
    visitor.post("/sign-out", {"form_token": visitor.get("/").form_token})

    visitor.cookies = kept
    assert visitor.get("/").place == "/sign-in"


def test_a_session_ends_when_its_key_is_switched_off(window):
    window.keys.off.add(ACCOUNT)

    assert window.get("/").place == "/sign-in"
    window.keys.off.clear()
    assert window.get("/").place == "/sign-in"


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("127.0.0.1:8787", True),
        ("localhost:1", True),
        ("LOCALHOST", True),
        ("[::1]:8787", True),
        ("kiln.example.com", True),
        ("a.lan", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("lan", False),
        ("192.0.2.7", False),
        ("", False),
        ("[", False),
    ],
)
def test_answers_by_its_own_names_alone(visitor, host, is_known):
    answer = visitor.get("/sign-in", host=host)

    assert (answer.status == 200) is is_known
    assert is_known or answer.status == 421


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb: c", "/龘"])
def test_goes_back_to_our_own_pages_alone(visitor, path):
    answer = visitor.get(f"/language?to=zh&back={quote(path)}")

    assert answer.header("location") == "/console/"
    assert visitor.get("/sign-in").tags[0] == ("html", {"lang": "zh"})


def test_a_console_that_was_told_no_region_begins_in_the_first(window):
    elsewhere = window.other()
    elsewhere.console = Console(replace(window.console.place, region=""))

    elsewhere.sign_in()
    assert elsewhere.get("/images").status == 200
    elsewhere.console.end()


def test_looks_at_another_region_that_there_is(visitor):
    visitor.sign_in()
    token = visitor.get("/").form_token

    assert visitor.post("/region", {"form_token": token, "region": "nowhere"}).status == 404


@pytest.mark.parametrize(
    ("kind", "body"), [("text/plain", b"a=b"), ("multipart/form-data; boundary=x", b"--x"), ("application/json", b"{}")]
)
def test_takes_forms_as_forms_alone(visitor, kind, body):
    assert visitor.ask("POST", "/sign-in", body, content_type=kind).status == 400


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\xff", "the form is no text"),
        (b"a=%ff", "what was sent is no UTF-8"),
        (b"&".join([b"a=1"] * 3000), "2000 fields at most are sent at once"),
    ],
)
def test_refuses_forms_that_no_browser_sends_and_says_why(visitor, body, why):
    kind = "application/x-www-form-urlencoded"

    refused = visitor.ask("POST", "/sign-in", body, content_type=kind)

    assert refused.status == 400
    assert refused.words == why


def test_reads_no_large_form_of_who_has_not_signed_in(visitor):
    kind, body = "application/x-www-form-urlencoded", b"key_id=" + b"a" * 20_000

    assert visitor.ask("POST", "/sign-in", body, content_type=kind).status == 413
    visitor.sign_in()
    assert visitor.ask("POST", "/sign-in", body, content_type=kind).place == "/sign-in"


def test_takes_the_methods_of_a_page_and_no_other(visitor):
    assert visitor.ask("PUT", "/sign-in", b"").status == 405
    assert visitor.ask("HEAD", "/sign-in", b"").text == ""
    assert visitor.get("/nowhere").status == 404
    assert visitor.get("/static/console.css").status == 404


class Now:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def begun(sessions: Sessions, key: str = "k") -> str:
    return sessions.begin(Client("http://127.0.0.1:9", key, "s", "r"), Keys(key, "s"), Who(key, ""))


def test_of_too_many_sessions_the_most_silent_one_ends():
    clock = Now()
    sessions = MemorySessions(clock)
    first, *others = [begun(sessions) for _ in range(MOST)]
    clock.now += 1
    assert sessions.find(first)

    begun(sessions)

    assert sessions.find(first)
    assert [name for name in others if sessions.find(name) is None] == others[:1]


def test_one_account_that_signs_in_again_and_again_sends_nobody_else_away():
    clock = Now()
    sessions = MemorySessions(clock)
    mine = begun(sessions)
    link = sessions.make_link(KEYS)
    for _ in range(2 * MOST):
        clock.now += 1
        begun(sessions, "mallory")
        sessions.make_link(Keys("mallory", "secret"))

    assert sessions.find(mine)
    assert sessions.redeem(link).keys == KEYS


def test_secrets_that_were_typed_are_kept_of_a_few_forms_only():
    sessions = MemorySessions(Now())
    session = sessions.find(begun(sessions))
    for n in range(20):
        session.hold(f"form-{n}", {"Password": str(n)})

    assert session.hold("form-0", {}) == {}
    assert session.hold("form-19", {}) == {"Password": "19"}
    assert len(session.held) < 10


def test_secrets_that_no_action_takes_are_not_kept(window):
    page = window.get("/instances/RunInstances")
    given = {"form_token": page.form_token, "client_token": page.value("client_token"), "more_of": "Tag"}

    refused = window.post("/instances/RunInstances", {**given, "Password": "x" * 100_000})
    kept = window.post("/instances/RunInstances", {**given, "UserData": "x" * 45_000})

    assert (refused.status, kept.status) == (400, 200)
    assert "the secrets of a form have 65536 letters at most" in refused.words
    session = window.sessions.find(window.cookies["kiln_session_8787"])
    assert session.held == {given["client_token"]: {"UserData": "x" * 45_000}}


def try_key(browser, secret: str, key_id: str = KEYS.id, **headers: str | list[str]):
    return browser.post("/sign-in", {"key_id": key_id, "key_secret": secret}, **headers)


def test_who_tries_a_key_in_vain_waits_and_nobody_else_does(window):
    far = replace(window.other(), peer="192.0.2.7", scheme="https")
    elsewhere = replace(window.other(), peer="192.0.2.8", scheme="https")
    for _ in range(MOST_TRIES):
        assert "SignatureDoesNotMatch" in try_key(far, "mistaken").words

    refused = try_key(far, KEYS.secret)

    assert (refused.status, refused.header("retry-after")) == (429, "60")
    assert "Try again in 60 seconds" in refused.words
    link = far.post("/links", {"key_id": KEYS.id, "key_secret": KEYS.secret})
    assert (link.status, link.text) == (
        429,
        "Too many wrong tries with this AccessKey. Try again in 60 seconds.\n",
    )
    assert try_key(replace(far, cookies={}), f"secret-{OTHER}", OTHER).status == 200
    assert try_key(elsewhere, KEYS.secret).status == 200

    window.cloud.clock.now += WINDOW_S
    assert try_key(far, KEYS.secret).status == 200


def test_a_right_key_forgets_the_wrong_tries_before_it(window):
    for _ in range(2):
        for _ in range(MOST_TRIES - 1):
            try_key(window.other(), "mistaken")
        assert try_key(window.other(), KEYS.secret).status == 200


def test_those_whom_one_proxy_brings_are_held_up_each_alone(window):
    brought = {"x_forwarded_proto": "https", "x_forwarded_for": "10.9.9.9, 192.0.2.7"}
    for _ in range(MOST_TRIES):
        try_key(window.other(), "mistaken", **brought)

    assert try_key(window.other(), KEYS.secret, **{**brought, "x_forwarded_for": "10.8.8.8, 192.0.2.7"}).status == 429
    assert try_key(window.other(), KEYS.secret, **{**brought, "x_forwarded_for": "192.0.2.8"}).status == 200


@pytest.mark.parametrize(
    "spelled",
    [
        pytest.param(lambda n: [f"10.9.9.{n}", "192.0.2.7"], id="on a line of its own, as HAProxy does"),
        pytest.param(lambda n: f"10.9.9.{n}, 192.0.2.7:{40000 + n}", id="with its port"),
        pytest.param(lambda n: f"[2001:db8:1:2::{n}]:{40000 + n}", id="IPv6 with its port"),
        pytest.param(lambda n: f"2001:db8:1:2::{n}", id="of one network of IPv6"),
        pytest.param(lambda n: f"unknown-{n}", id="no address"),
    ],
)
def test_nobody_makes_up_an_address_of_whom_a_proxy_brings(window, spelled):
    brought = {"x_forwarded_proto": "https"}
    for number in range(MOST_TRIES):
        try_key(window.other(), "mistaken", **brought, x_forwarded_for=spelled(number))

    assert try_key(window.other(), KEYS.secret, **brought, x_forwarded_for=spelled(MOST_TRIES)).status == 429
    assert try_key(window.other(), KEYS.secret, **brought, x_forwarded_for="192.0.2.8").status == 200


def test_one_network_of_ipv6_is_one_who_tries(window):
    far = replace(window.other(), scheme="https")
    for number in range(MOST_TRIES):
        try_key(replace(far, peer=f"2001:db8:1:2::{number + 1}"), "mistaken")

    assert try_key(replace(far, peer="2001:db8:1:2::ffff"), KEYS.secret).status == 429
    assert try_key(replace(far, peer="2001:db8:1:3::1"), KEYS.secret).status == 200


def test_what_is_refused_for_another_reason_is_no_wrong_try(window):
    attempts = window.sessions.attempts
    gone = replace(window.console.place, endpoint="http://127.0.0.1:9")
    elsewhere = window.other()
    elsewhere.console = Console(gone)
    for _ in range(MOST_TRIES + 1):
        assert try_key(elsewhere, "any").status == 502
    elsewhere.console.end()

    attempts.take("127.0.0.1", KEYS.id)


def test_wrong_tries_are_remembered_of_so_many_pairs_and_one_peer_crowds_out_itself():
    clock = Now()
    attempts = MemoryAttempts(clock)
    for _ in range(MOST_TRIES):
        attempts.take("mine", "k")
    for number in range(4200):
        attempts.take("mallory", f"k-{number}")

    assert len(attempts._tries) <= 4096
    with pytest.raises(TooMany):
        attempts.take("mine", "k")
