"""A few images that are named by their IDs, or one by its name: what clients poll with, again and again.

Packer, Terraform and the CLI send with the ID whose images are wanted, some
statuses, a page's size. Such images are looked up one by one by statements that
are always the same, and narrowed here. A statement that says all of that is
another one for each mix, and putting it together takes four times as long as
both. What is not in ``NARROWED`` is left to such a statement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from operator import attrgetter
from typing import Any, Protocol

from kiln.calls.call import Call
from kiln.declare.shapes import fields_of
from kiln.declare.states import USABLE
from kiln.operations.images.parts import portrait
from kiln.operations.images.parts.portrait import ImageOutput
from kiln.operations.images.parts.whose import Whose
from kiln.store.images import Image

#: More are quicker found by one statement.
_FEW = 8

#: The parameters that narrow what was found, and whether an image meets their value. Statuses are given as they count.
_MEETS: Mapping[str, Callable[[Image, Any], bool]] = {
    "image_name": lambda image, name: image.name == name,
    "image_family": lambda image, family: image.family == family,
    "usable": lambda image, usable: (image.status in USABLE) is usable,
    "os_type": lambda image, os_type: image.system.os_type == os_type,
    "architecture": lambda image, architecture: image.system.architecture == architecture,
    "is_support_io_optimized": lambda _, is_supported: is_supported,
    "is_support_cloudinit": lambda _, is_supported: is_supported,
    "resource_group_id": lambda image, group: image.resource_group == group,
}

_asked = attrgetter(*_MEETS)  #: The values of all of them.
_NOTHING_ASKED = (None,) * len(_MEETS)

#: All parameters that may stand beside the ID or the name: those above, those that find, and those that narrow nothing
#: once whose images are wanted is answered.
NARROWED = frozenset(
    {*_MEETS, "region_id", "status", "image_id", "image_owner_alias", "image_owner_id", "is_public"}
    | {"action_type", "show_expired", "page_number", "page_size"}
)


class Asked(Protocol):
    """What ``find`` itself reads of the Input of DescribeImages; the rest is asked for by the names above."""

    @property
    def region_id(self) -> str: ...

    @property
    def image_id(self) -> tuple[str, ...] | None: ...

    @property
    def image_name(self) -> str | None: ...

    @property
    def page_number(self) -> int: ...

    @property
    def page_size(self) -> int: ...


def is_wanted(p: Asked) -> bool:
    """Whether the Input *p* of DescribeImages names few enough images, and says nothing that ``find`` does not know."""
    ids, name = p.image_id, p.image_name
    if name is not None and "*" in name:
        return False
    if not 1 <= len(ids) <= _FEW if ids is not None else name is None:
        return False
    others, defaults = _others(p.__class__)
    return bool(others(p) == defaults)


def is_all(p: Asked) -> bool:
    """Whether *p* asks for all images of some statuses, and narrows them by nothing else."""
    others, defaults = _others(p.__class__)
    return p.image_id is None and _asked(p) == _NOTHING_ASKED and bool(others(p) == defaults)


def find(call: Call, p: Asked, statuses: tuple[str, ...], whose: Whose) -> tuple[tuple[ImageOutput, ...], int]:
    """The page of them that *p* asks for, and how many there are on all pages."""
    if p.image_id is not None:
        album = whose.of_ids(call, p.region_id, p.image_id)
    else:
        assert p.image_name is not None  # Else nobody asks: see is_wanted.
        album = whose.of_name(call, p.region_id, p.image_name)
    met = [image for image in album.images if image.status in statuses]
    values = _asked(p)
    if values != _NOTHING_ASKED:
        asked = [(meets, value) for meets, value in zip(_MEETS.values(), values, strict=True) if value is not None]
        met = [image for image in met if all(meets(image, value) for meets, value in asked)]
    start = (p.page_number - 1) * p.page_size
    page = replace(album, images=met[start : start + p.page_size])
    return portrait.draw(page, call.account), len(met)


@cache
def _others(shape: type) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]:
    """The values of the fields that ``find`` knows nothing of, and what they are where nobody sent them."""
    others = [field for field in fields_of(shape) if field.name not in NARROWED]
    return attrgetter(*(field.name for field in others)), tuple(field.default for field in others)
