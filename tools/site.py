"""Builds docs/ as a site of pages that need no server: ``./kiln docs [FOLDER]``, which is build/site without one.

It fails at whatever Sphinx warns of: a link to a page, file or heading that is not there, a page that the menu does
not lead to, a block of code that cannot be what it says it is. Nothing is fetched, by the build or by its pages.

The pages are those that a checkout has, and are written for its readers. A copy is made for Sphinx, in which

- the menu is what docs/index.md and the table of operations lead to, under the headings that they have there;
- CHANGELOG.md and CONTRIBUTING.md are pages, too;
- what is pointed to outside of docs/ is named and no link: a site has no sources.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

#: Pages beside docs/, and what they are in the site.
BESIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}

#: The pages whose links make the menu.
MENUS = ("index.md", "reference/operations/index.md")

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_SECTION = re.compile(r"^## (.*)$", re.MULTILINE)
_ELSEWHERE = ("http://", "https://", "#")


def build(site: Path) -> int:
    """Build the site in the folder, which is emptied first; return Sphinx's exit code."""
    with tempfile.TemporaryDirectory(prefix="kiln-site-") as scratch:
        pages = Path(scratch, "pages")
        lay_out(pages)
        shutil.rmtree(site, ignore_errors=True)
        strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
        command = [sys.executable, "-P", "-m", "sphinx", *strict, "--jobs", str(os.cpu_count() or 1)]
        done = subprocess.run([*command, "-d", Path(scratch, "doctrees"), pages, site], check=False)
    return done.returncode


def lay_out(pages: Path) -> None:
    """Make the copy that Sphinx reads."""
    shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("*.json", "__pycache__"))
    for page in sorted(pages.rglob("*.md")):
        there = DOCS / page.relative_to(pages)
        text = _for_site(page.read_text(), there)
        page.write_text(text + _menu(text) if str(page.relative_to(pages)) in MENUS else text)
    for name, title in BESIDE.items():
        (pages / title).write_text(_for_site((ROOT / name).read_text(), ROOT / name))


def _for_site(text: str, page: Path) -> str:
    """The text of the page with the links that a site can have. Sphinx knows no drawings, and shows what they say."""
    text = _outside_fences(text, lambda part: _LINK.sub(lambda link: _link(link, page), part))
    return text.replace("```mermaid\n", "```text\n")


def _link(link: re.Match[str], page: Path) -> str:
    shown, target = link.groups()
    if target.startswith(_ELSEWHERE):
        return link[0]
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve()
    if file.is_relative_to(DOCS) and file.is_file():
        name = str(file.relative_to(DOCS))
    elif file.is_relative_to(ROOT) and str(file.relative_to(ROOT)) in BESIDE:
        name = BESIDE[str(file.relative_to(ROOT))]
    elif file.exists():
        return shown
    else:
        return link[0]  # It is broken, which Sphinx says.
    here = page.parent.relative_to(DOCS) if page.is_relative_to(DOCS) else Path()
    return f"[{shown}]({os.path.relpath(name, here)}{'#' if anchor else ''}{anchor})"


def _menu(text: str) -> str:
    """The pages that each section leads to, as Sphinx is told of a menu."""
    _, *sections = _SECTION.split(_FENCE.sub("", text))
    blocks = []
    for title, section in zip(sections[::2], sections[1::2], strict=True):
        targets = dict.fromkeys(target.partition("#")[0] for _, target in _LINK.findall(section))
        pages = [target for target in targets if target.endswith(".md") and not target.startswith(_ELSEWHERE)]
        # Operations are met again and again in what is said before their tables.
        if pages:
            blocks.append("\n".join(["```{toctree}", ":hidden:", f":caption: {title}", *pages, "```"]))
    return "\n\n" + "\n\n".join(blocks) + "\n"


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def main(arguments: list[str]) -> int:
    """Build it, and say where it is; return the exit code."""
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(f"usage: {Path(sys.argv[0]).name} [FOLDER]", file=sys.stderr)
        return 2
    site = Path(*arguments).resolve() if arguments else ROOT / "build" / "site"
    code = build(site)
    print(site / "index.html") if code == 0 else print("failed: docs", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
