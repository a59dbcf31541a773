"""`kiln console`: a link to the console of this machine's Kiln, or a console of one's own for a Kiln elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.browser.visiting import Visitor
from tests.waiting import wait_for
from tests.warm import kiln, start_kiln

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with start_kiln(tmp_path_factory.mktemp("console") / "data") as one:
        yield one


def get(url: str, cookie: str = ""):
    where = urlsplit(url)
    with closing(HTTPConnection(where.netloc, timeout=300)) as connection:
        connection.request("GET", f"{where.path}?{where.query}", headers={"cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        cookies = [one.partition(";")[0] for one in answer.headers.get_all("set-cookie") or []]
        return answer.status, answer.read().decode(), "; ".join(cookies)


def signs_in(link: str) -> bool:
    status, _, cookies = get(link)
    return status == 200 and get(link.partition("/enter")[0] + "/", cookies)[0] == 200


def test_the_service_prints_a_link_when_it_listens(served):
    (link,) = re.findall(
        r"^console (http://127\.0\.0\.1:\d+/console/enter\?token=\S+)$", served.log.read_text(), re.MULTILINE
    )

    assert signs_in(link)
    assert not signs_in(link)


def test_prints_a_link_to_the_console_of_this_machine(served):
    done = kiln("console", "--no-open", "--data", str(served.data))

    assert done.returncode == 0
    assert signs_in(done.stdout.strip())


def test_that_link_is_the_operators_and_one_for_the_same_keys_alone_is_not(served):
    """What all accounts take in the pool is no key's to know, whosever key it is."""
    printed = kiln("console", "--no-open", "--data", str(served.data)).stdout.strip()
    with closing(Visitor(served.host)) as other:
        asked_for = served.endpoint + other.link(served.access_key_id, served.secret)
    for link, is_operators in ((printed, True), (asked_for, False)):
        _, _, cookies = get(link)
        shown = partial(get, f"{served.endpoint}/console/storage?", cookies)
        wait_for(lambda shown=shown: "What your things take in the pool" in shown()[1] and "<tbody>" in shown()[1])
        assert ("What all accounts take in the pool" in shown()[1]) is is_operators


def test_says_that_no_kiln_answers(tmp_path):
    with start_kiln(tmp_path / "data") as one:
        pass

    done = kiln("console", "--no-open", "--data", str(one.data))

    assert done.returncode != 0
    assert "kiln serve" in done.stderr


def test_serves_a_console_here_for_a_kiln_elsewhere(served):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KILN_")},
        "KILN_ACCESS_KEY_ID": served.access_key_id,
        "KILN_ACCESS_KEY_SECRET": served.secret,
        "KILN_REGION": served.region,
    }
    command = [sys.executable, "-P", "-m", "kiln.cli.main", "console", "--no-open", "--endpoint", served.endpoint]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            link = process.stdout.readline().strip()
            assert urlsplit(link).netloc != served.host
            assert signs_in(link)
        finally:
            process.terminate()

    assert process.returncode == 0
