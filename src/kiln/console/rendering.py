"""From a template and what it is to show to the bytes of a page. All that is shown is escaped, always."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kiln.console.asking import ROOT, query
from kiln.console.static import Static
from kiln.console.style import STYLE
from kiln.console.texts import LANGUAGES
from kiln.console.visit import Visit, Way
from kiln.console.wording import bare, deed, disk_type, label, part, prose, status

TEMPLATES = Path(__file__).parent / "templates"


class Renderer:
    """Makes pages."""

    def __init__(self, static: Static, menu: tuple[Way, ...]) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            {"root": ROOT, "style": STYLE, "static": static.url, "menu": menu, "languages": LANGUAGES, "query": query}
        )
        self._environment.globals.update(
            {"label": label, "status": status, "deed": deed, "part": part, "disk_type": disk_type}
        )
        self._environment.filters.update({"prose": prose, "bare": bare})

    def render(self, template: str, visit: Visit, shown: Mapping[str, Any]) -> bytes:
        """The page of *template*."""
        session = visit.session
        notices: list[str] = []
        while session is not None and session.notices:
            notices.append(session.notices.popleft())
        around = {
            "t": visit.texts,
            "language": visit.texts.language,
            "session": session,
            "form_token": session.form_token() if session is not None else "",
            "here": visit.asked.path,
            "here_whole": visit.asked.path + query(visit.asked.query),
            "notices": notices,
        }
        return self._environment.get_template(template).render({**around, **shown}).encode()
