"""The bill of materials: all that is locked for this system, with its hashes, its licence and who asked for it."""

from __future__ import annotations

import re
import tomllib
from hashlib import sha256
from importlib import metadata

import pytest

from tools import sbom

LOCK = sbom.LOCK.read_text()
PROJECT = tomllib.loads((sbom.ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def bill() -> dict:
    return sbom.build(LOCK, 0)


def test_names_all_that_is_locked_but_for_other_systems(bill):
    locked = {
        name.lower().replace("_", "-").replace(".", "-") for name in re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE)
    }

    assert locked - {one["name"] for one in bill["components"]} <= {"colorama", "tzdata", "backports-zstd"}


def libraries(bill: dict) -> list[dict]:
    """Those of Python, which the lock file has."""
    return [one for one in bill["components"] if one["purl"].startswith("pkg:pypi/")]


def test_has_what_the_console_brings_for_browsers_by_its_bytes(bill):
    told = {one["hashes"][0]["content"] for one in bill["components"] if one["purl"].startswith("pkg:npm/")}

    # What has a version in its name was made by others.
    there = {sha256(file.read_bytes()).hexdigest() for file in sbom.STATIC.glob("*-[0-9]*.js")}
    assert told == there != set()


def test_says_of_each_where_it_is_from_its_hashes_and_its_licence(bill):
    for one in libraries(bill):
        (source,) = one["externalReferences"]
        assert one["purl"] == f"pkg:pypi/{one['name']}@{metadata.version(one['name'])}"
        assert source["hashes"], one["name"]
        assert all(f"--hash=sha256:{it['content']}" in LOCK for it in source["hashes"])
        assert one["licenses"], one["name"]
    assert sum(len(one["externalReferences"][0]["hashes"]) for one in libraries(bill)) > len(libraries(bill))


def test_says_who_asked_for_what(bill):
    asks = {one["ref"]: set(one["dependsOn"]) for one in bill["dependencies"]}
    known = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    root = bill["metadata"]["component"]["bom-ref"]
    names = {re.match(r"[\w.-]+", one)[0].replace(".", "-") for one in PROJECT["dependencies"]}

    assert asks.keys() == known
    assert {one.partition("/")[2].partition("@")[0] for one in asks[root]} >= names - {"backports-zstd"}
    assert set().union(*asks.values()) == known - {root}, "each is there because somebody asks for it"


def test_is_the_same_when_it_is_made_again_and_another_with_another_time(bill):
    assert sbom.build(LOCK, 0) == bill
    assert sbom.build(LOCK, 1)["serialNumber"] != bill["serialNumber"]


def test_refuses_to_describe_what_is_not_installed(bill):
    version = metadata.version("typer")

    with pytest.raises(sbom.Strays, match=f"typer is installed as {version}, and locked as 0.0.1"):
        sbom.build(LOCK.replace(f"typer=={version}", "typer==0.0.1"), 0)
    with pytest.raises(sbom.Strays, match="no-such-thing 1 is not installed"):
        sbom.build(f"no-such-thing==1 \\\n{LOCK}", 0)
