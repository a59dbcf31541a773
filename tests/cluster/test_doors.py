"""Processes that answer requests are as one: nonces, tokens, quotas and the console's sessions hold between them."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from kiln.client import signature
from kiln.client.client import ApiFailure
from kiln.ground.clock import system_clock, to_seconds_text

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


def signed(kiln, **params):
    """A request that is good at any door, once."""
    body = signature.encode({"RegionId": kiln.region, **params}).encode()
    headers = {
        "host": "localhost",
        "content-type": "application/x-www-form-urlencoded",
        "x-acs-action": "DescribeImages",
        "x-acs-content-sha256": signature.hash_body(body),
        "x-acs-date": to_seconds_text(system_clock()),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-version": "2014-05-26",
    }
    proof = signature.authorization(kiln.access_key_id, kiln.secret, "POST", headers, headers["x-acs-content-sha256"])
    return headers | {"authorization": proof}, body


def send(kiln, headers, body):
    request = urllib.request.Request(kiln.endpoint + "/", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_request_that_was_used_at_one_door_is_refused_at_the_other(deployed):
    one, two = deployed.start("api-1", "api"), deployed.start("api-2", "api")
    request = signed(one)

    assert send(one, *request)[0] == 200
    status, body = send(two, *request)

    assert (status, b"SignatureNonceUsed" in body) == (400, True)
    assert send(two, *signed(one))[0] == 200


def test_two_doors_that_are_asked_at_once_under_one_token_make_one_image(deployed):
    one, two = deployed.start("api-1", "api"), deployed.start("api-2", "api")
    deployed.start("worker", "worker")
    caller = deployed.caller(one)
    instance = deployed.an_instance(caller, deployed.an_image(caller))
    clients = [deployed.client(one), deployed.client(two)]

    with ThreadPoolExecutor(4) as threads:
        for n in range(5):
            asked = {"InstanceId": instance, "ImageName": f"made-{n}", "ClientToken": f"token-{n}"}
            made = [threads.submit(client.call, "CreateImage", asked) for client in clients * 2]
            (image,) = {one.result()["ImageId"] for one in made}
            caller.image_comes(image)

    ((count,),) = deployed.ask("SELECT count(*) FROM images WHERE name LIKE 'made-%'")
    assert count == 5


def test_a_quota_that_is_met_from_both_sides_is_not_exceeded(deployed):
    clients = [deployed.client(deployed.start(name, "api")) for name in ("api-1", "api-2")]

    def make(n):
        try:
            return clients[n % 2].call("CreateResourceGroup", {"Name": f"group-{n}", "DisplayName": f"Group {n}"})
        except ApiFailure as failure:
            return failure.code

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(make, range(50)))

    refused = [answer for answer in answers if isinstance(answer, str)]
    ((count,),) = deployed.ask("SELECT count(*) FROM resource_groups")
    assert count <= 30
    assert {code for code in refused if "Quota" not in code and "Limit" not in code} == set()
    assert len(refused) >= 20


class Browser:
    """One that a balancer sends now here, now there: it knows of one host only."""

    def __init__(self):
        self.cookie = ""

    def get(self, kiln, path):
        """Status, text and where it is sent to."""
        return self._ask(kiln, path, None)

    def post(self, kiln, path, **form):
        return self._ask(kiln, path, urllib.parse.urlencode(form).encode())

    def _ask(self, kiln, path, body):
        address = urllib.parse.urlsplit(kiln.endpoint)
        connection = HTTPConnection(address.hostname, address.port, timeout=300)
        try:
            headers = {"host": "localhost:8787", "cookie": self.cookie, "sec-fetch-site": "same-origin"}
            kind = {} if body is None else {"content-type": "application/x-www-form-urlencoded"}
            connection.request("GET" if body is None else "POST", f"/console{path}", body, headers | kind)
            answer = connection.getresponse()
            text = answer.read().decode()
            self.cookie = answer.getheader("set-cookie", self.cookie).partition(";")[0]
            return answer.status, text, answer.getheader("location", "")
        finally:
            connection.close()


def token_of(page):
    return re.search(r'name="form_token" value="([^"]+)"', page)[1]


def test_who_signs_in_to_the_console_at_one_door_is_signed_in_at_all_until_he_signs_out_at_any(deployed):
    one, two = deployed.start("api-1", "api"), deployed.start("api-2", "api")
    keys = {"key_id": one.access_key_id, "key_secret": one.secret}
    browser, other = Browser(), Browser()
    assert browser.post(one, "/sign-in", **keys)[0] == 200

    status, page, _ = browser.get(two, "/images")
    assert status == 200
    assert browser.post(one, "/region", form_token=token_of(page), region=one.region)[0] == 303
    two.restart()
    assert browser.get(two, "/")[0] == 200
    link = other.post(one, "/links", **keys)[1].strip().removeprefix("/console")
    other.get(two, link)
    third = Browser()
    third.get(one, link)
    assert [other.get(one, "/")[0], third.get(one, "/")[0]] == [200, 303]

    kept = browser.cookie
    assert browser.post(one, "/sign-out", form_token=token_of(page))[0] == 303

    browser.cookie = kept
    assert [browser.get(door, "/")[2] for door in (one, two)] == ["/console/sign-in"] * 2
    assert other.get(one, "/")[0] == 200


def test_wrong_secrets_are_counted_at_all_doors_together(deployed):
    doors = [deployed.start(name, "api") for name in ("api-1", "api-2")]

    tried = [
        Browser().post(doors[n % 2], "/sign-in", key_id=doors[0].access_key_id, key_secret="wrong")[0] for n in range(7)
    ]

    assert tried == [200] * 5 + [429] * 2
