"""Whose images are asked for: the caller's own, and those that others share with it.

Of another's image the caller sees what it needs to use it. Snapshots, tags and
the resource group are its owner's to see; so a filter by one of them finds own
images alone, and tells nothing of others.
"""

from __future__ import annotations

from typing import Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.ground.values import dataclass
from kiln.store import images
from kiln.store.conditions import NOTHING, Condition
from kiln.store.images import Album
from kiln.store.shares import is_receiver


class InvalidImageOwnerAliasPublicImageUnsupported(ApiError):
    """IsPublic is true and ImageOwnerAlias is not others."""

    code = "InvalidImageOwnerAlias.PublicImageUnsupported"
    message = (
        "When querying images, the parameter ImageOwnerAlias should be others while specified parameter IsPublic is "
        "true."
    )


class InvalidOperationImageOwnerIdUnsupported(ApiError):
    """ImageOwnerId was sent, but the query is not for images of others."""

    code = "InvalidOperation.ImageOwnerIdUnsupported"
    message = (
        'The parameter "ImageOwnerId" is not supported in this context, it is only valid when querying shared images '
        "or community images."
    )


ERRORS = (InvalidImageOwnerAliasPublicImageUnsupported, InvalidOperationImageOwnerIdUnsupported)


@dataclass(frozen=True)
class Whose:
    """Whose images are asked for, as far as there are any."""

    account: str  #: Who asks.
    own: bool
    others: bool  #: Those that are shared with the account.
    owner: str | None = None  #: Of the others' only this account's.

    def condition(self, *, is_of_owners: bool, is_used: bool | None = None) -> Condition:
        """What the images meet.

        With *is_of_owners* something is asked for that owners alone see; *is_used* says whether some instance was made
        of them, as far as the account may know.
        """
        own = images.images.c.account == self.account
        others = self._others()
        if is_used is not None:
            own &= images.is_used if is_used else ~images.is_used
            mine = images.is_used_by(self.account)
            others &= mine if is_used else ~mine
        if not self.others or is_of_owners:
            return own if self.own else NOTHING
        return own | others if self.own else others

    def of_ids(self, call: Call, region: str, ids: tuple[str, ...]) -> Album:
        """Those of these images that are asked for."""
        found = images.find(call.tx, self.account, region, ids) if self.own else images.NO_ALBUM
        missing = set(ids) - {image.id for image in found.images}
        if not missing or not self.others:
            return found
        return found.with_(self._received(call, region, images.images.c.id.in_(missing), len(missing)))

    def of_name(self, call: Call, region: str, name: str) -> Album:
        """Those of that name that are asked for."""
        found = images.of_name(call.tx, self.account, region, name) if self.own else images.NO_ALBUM
        if not self.others:
            return found
        return found.with_(self._received(call, region, images.named(name), None))

    def _received(self, call: Call, region: str, wanted: Condition, limit: int | None) -> Album:
        conditions = [self._others(), images.images.c.region == region, wanted]
        return images.as_received(call.tx, images.page(call.tx, conditions, limit, 0), self.account)

    def _others(self) -> Condition:
        shared = images.shared_with(self.account)
        return shared if self.owner is None else shared & (images.images.c.account == self.owner)


def asked(call: Call, p: Any) -> Whose:
    """What the Input *p* of DescribeImages says. Raises what ERRORS lists."""
    alias, owner = p.image_owner_alias, p.image_owner_id
    if p.is_public and alias != "others":
        raise InvalidImageOwnerAliasPublicImageUnsupported
    if owner is not None and alias not in (None, "others"):
        raise InvalidOperationImageOwnerIdUnsupported(image_owner_id=owner)
    is_mine = owner is not None and owner == int(call.account)
    own = alias in (None, "self") and (owner is None or is_mine)
    # Nothing is public here.
    others = alias in (None, "others") and not is_mine and not p.is_public and is_receiver(call.tx, call.account)
    return Whose(call.account, own, others, None if owner is None or is_mine else str(owner))
