"""Writes what Kiln is made of, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): a software bill of materials.

    python tools/sbom.py [FILE]

It is made of requirements.lock, which knows each version, its hashes and who asked for it, and of what is installed
beside the interpreter that runs this, which knows the licences. What the lock has for other systems alone is left out.
Its time is that of SOURCE_DATE_EPOCH, by which what is made twice is the same, or else now.

What the console has of others, for browsers, is in it by the bytes that are packed.

Exits with 1 when something of the lock is not installed, or is so in another version.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

STATIC = ROOT / "src" / "kiln" / "console" / "static"

#: What npm calls the files there, which are named for what is in them and its version; and its licence.
VENDORED = {
    "htmx": ("htmx.org", "0BSD"),
    "xterm": ("%40xterm/xterm", "MIT"),
    "xterm-addon-fit": ("%40xterm/addon-fit", "MIT"),
}

_LONGEST_NAME = 80  #: Of a licence; where there is more, it is the licence's text.


class Strays(Exception):
    """What is installed is not what is locked."""


@dataclass
class Locked:
    """A package of the lock file."""

    name: str
    version: str
    marker: str
    hashes: list[str] = field(default_factory=list)
    asked_by: list[str] = field(default_factory=list)

    @property
    def purl(self) -> str:
        return _purl(self.name, self.version)


def build(lock: str, moment: int) -> dict[str, Any]:
    """The bill, of the text of a lock file and a time in seconds; raises Strays."""
    ours = [one for one in read(lock) if not one.marker or Marker(one.marker).evaluate()]
    name, version = PROJECT["name"], PROJECT["version"]
    root = {
        "type": "application",
        "bom-ref": _purl(name, version),
        "name": name,
        "version": version,
        "description": PROJECT["description"],
        "licenses": [{"expression": PROJECT["license"]}],
        "purl": _purl(name, version),
    }
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)),
            "lifecycles": [{"phase": "build"}],
            "component": root,
        },
        "components": [*map(_component, ours), *(vendored := list(_vendored()))],
        "dependencies": list(_dependencies(root["bom-ref"], ours, [one["bom-ref"] for one in vendored])),
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))
    return {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "serialNumber": f"urn:uuid:{serial}", **bill}


def read(lock: str) -> list[Locked]:
    """The packages of a lock file, as uv writes it."""
    found: list[Locked] = []
    for line in lock.splitlines():
        if begun := re.match(r"([\w.-]+)(?:\[[\w,]*\])?==([^\s;]+)(?: ; ([^\\]+))?", line):
            found.append(Locked(canonicalize_name(begun[1]), begun[2], (begun[3] or "").strip()))
        elif hashed := re.match(r" +--hash=sha256:(\w+)", line):
            found[-1].hashes.append(hashed[1])
        elif asked := re.match(r" +# (?:via|  ) ?(.+)$", line):
            found[-1].asked_by.append(asked[1])
    return found


def _component(one: Locked) -> dict[str, Any]:
    try:
        told = metadata.metadata(one.name).json
    except metadata.PackageNotFoundError as error:
        raise Strays(f"{one.name} {one.version} is not installed") from error
    if told["version"] != one.version:
        raise Strays(f"{one.name} is installed as {told['version']}, and locked as {one.version}")
    return {
        "type": "library",
        "bom-ref": one.purl,
        "name": one.name,
        "version": one.version,
        "description": told["summary"],
        "licenses": _licences(told),
        "purl": one.purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/simple/{one.name}/",
                "comment": "Any of the files with these hashes is accepted.",
                "hashes": [{"alg": "SHA-256", "content": it} for it in one.hashes],
            }
        ],
    }


def _vendored() -> Iterator[dict[str, Any]]:
    for file in sorted(STATIC.glob("*-[0-9]*.js")):
        named = re.match(r"(.*?)-(\d[\d.]*\d)", file.name)
        if named is None or named[1] not in VENDORED:
            raise Strays(f"{file.name} is nothing that tools/sbom.py knows")
        name, licence = VENDORED[named[1]]
        purl = f"pkg:npm/{name}@{named[2]}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name.replace("%40", "@"),
            "version": named[2],
            "hashes": [{"alg": "SHA-256", "content": sha256(file.read_bytes()).hexdigest()}],
            "licenses": [{"expression": licence}],
            "purl": purl,
        }


def _licences(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By the expression that there is in newer packages; else by their words."""
    if expression := told.get("license_expression"):
        return [{"expression": expression}]
    declared = [text.rpartition(" :: ")[2] for text in told.get("classifier", ()) if text.startswith("License ::")]
    written = told.get("license", "").strip()
    if not declared and written and len(written) <= _LONGEST_NAME:
        declared = [written]
    return [{"license": {"name": name}} for name in declared]


def _dependencies(root: str, ours: Iterable[Locked], vendored: list[str]) -> Iterator[dict[str, Any]]:
    """Who depends on whom, the whole program first."""
    refs = {one.name: one.purl for one in ours}
    asks: dict[str, list[str]] = {root: [*vendored], **{purl: [] for purl in (*refs.values(), *vendored)}}
    for one in ours:
        for asker in one.asked_by:
            # The program itself is named with its file: "kiln (pyproject.toml)".
            by = root if asker.endswith("(pyproject.toml)") else refs.get(canonicalize_name(asker))
            if by is not None and by != one.purl:
                asks[by].append(one.purl)
    return ({"ref": ref, "dependsOn": sorted(set(on))} for ref, on in asks.items())


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def main(arguments: list[str]) -> int:
    """Write the bill to the file, or to standard output; return the exit code."""
    if len(arguments) > 1:
        print(f"usage: {Path(sys.argv[0]).name} [FILE]", file=sys.stderr)
        return 2
    try:
        bill = build(LOCK.read_text(), int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    except Strays as error:
        print(f"{error}: run this with the interpreter of what is described", file=sys.stderr)
        return 1
    text = json.dumps(bill, indent=2, ensure_ascii=False) + "\n"
    if arguments:
        Path(arguments[0]).write_text(text)
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
