"""Which tests are done on which engine."""

from __future__ import annotations

import pytest

from tests import engines
from tests.operations.images.gallery import a_bucket

pytest_plugins = ("pytester",)


def settles(cloud):
    cloud.settle()


def calls(cloud):
    return [settles(one) for one in (cloud,)]


def calls_itself(cloud):
    return calls_itself(cloud) or a_bucket(cloud)


def test_what_has_something_carried_out_says_so_itself_or_by_what_it_calls():
    assert engines.has_carried_out(settles)
    assert engines.has_carried_out(calls)
    assert not engines.has_carried_out(calls_itself)


@pytest.fixture
def done(pytester):
    """The tests of a file at that place, by the engines that they are done on."""
    pytester.makeini("[pytest]\nmarkers =\n ceph: x\n postgresql: x\n qcow2: x\n timeout: x\n")
    pytester.makeconftest(
        "import pytest\n"
        "@pytest.fixture(scope='session')\ndef engine(request): return request.param\n"
        "@pytest.fixture\ndef database(engine): return engine\n"
        "@pytest.fixture\ndef cloud(database): return database\n"
        "@pytest.fixture\ndef kiln_image(engine): return engine\n"
    )

    def collected(place, source):
        file = pytester.path.joinpath(place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("import pytest\n" + source)
        said = pytester.runpytest("-p", "tests.engines", "-p", "no:randomly", "--collect-only", "-q", file)
        return {line.partition("::test_")[2] for line in said.outlines if "::test_" in line}

    return collected


def test_rows_are_tried_on_both_databases_and_bytes_on_ceph_too(done):
    source = (
        "def test_rows(cloud): cloud.call()\n"
        "def test_bytes(cloud): cloud.settle()\n"
        "def test_store(database): database.settle()\n"
        "@pytest.mark.qcow2\ndef test_files(cloud): cloud.settle()\n"
    )

    assert done("tests/operations/images/test_any.py", source) == {
        "rows[sqlite]", "rows[postgresql]", "bytes[sqlite]", "bytes[postgresql]", "bytes[ceph]",
        "store[sqlite]", "store[postgresql]", "files[sqlite]", "files[postgresql]",
    }  # fmt: skip
    assert done("tests/upkeep/test_any.py", "def test_bytes(cloud): cloud.settle()\n") == {
        "bytes[sqlite]",
        "bytes[postgresql]",
    }


def test_clients_that_want_an_image_come_to_all_of_them_and_kills_to_those_of_others(done):
    source = "def test_image(kiln_image): pass\ndef test_wire(engine): pass\n"

    assert done("tests/acceptance/test_any.py", source) == {
        "image[sqlite]", "image[postgresql]", "image[ceph]", "wire[sqlite]",
    }  # fmt: skip
    assert done("tests/kill/test_any.py", "def test_kill(engine): pass\n") == {"kill[postgresql]", "kill[ceph]"}
