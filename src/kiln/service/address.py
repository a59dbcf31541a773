"""What a service says of itself to ``kiln env``: where it listens, and which regions it serves.

The file has a line for each: ``http://HOST:PORT``, and the regions separated by
commas, the default first. Older services wrote the first alone.
"""

from __future__ import annotations

from pathlib import Path

from kiln.ground.journal import Journal
from kiln.ground.short_files import read_short_text
from kiln.ground.values import dataclass

log = Journal("kiln.service")


@dataclass(frozen=True)
class Address:
    """Where clients find a service, and under which regions."""

    endpoint: str
    regions: tuple[str, ...]


def tell(file: Path, address: Address) -> None:
    """Leave it for ``kiln env``, or log that it cannot be: requests are answered all the same."""
    text = f"{address.endpoint}\n{','.join(address.regions)}\n"
    draft = file.with_name(f"{file.name}.draft")
    try:
        if _read(file) != text:
            draft.write_text(text)
            draft.replace(file)
    except OSError as error:
        log.warning("address_not_written", file=str(file), reason=error.strerror)


def told(file: Path, otherwise: Address) -> Address:
    """What the service that runs, or the last one that did, has said; *otherwise* as far as it said nothing."""
    lines = _read(file).splitlines()
    endpoint, regions = [*lines, "", ""][:2]
    return Address(endpoint.strip() or otherwise.endpoint, tuple(regions.split(",")) if regions else otherwise.regions)


def _read(file: Path) -> str:
    """What is said there; nothing by a file that is none, or that is damaged."""
    try:
        return read_short_text(file)
    except (FileNotFoundError, ValueError):
        return ""
