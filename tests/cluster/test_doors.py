"""Two processes that answer requests are as strict as one: nonces, tokens and quotas hold between them."""

from __future__ import annotations

import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln.client import signature
from kiln.client.client import ApiFailure
from kiln.ground.clock import system_clock, to_seconds_text

pytestmark = [pytest.mark.postgresql, pytest.mark.slow, pytest.mark.timeout(300)]


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
        with urllib.request.urlopen(request, timeout=30) as answer:
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
