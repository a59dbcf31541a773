"""Key pairs. They are brought in here and not made: the private key of one that is made would stand on a page."""

from __future__ import annotations

from kiln.console.nouns import family
from kiln.console.nouns.noun import Does, Noun
from kiln.console.visit import Page

KEY_PAIRS = Noun(
    name="key-pairs",
    action="DescribeKeyPairs",
    id="KeyPairName",
    asks="KeyPairName",
    columns=("KeyPairName", "KeyPairFingerPrint", "CreationTime"),
    filters=("KeyPairName",),
    makes=(Does(action="ImportKeyPair", first=("KeyPairName", "PublicKeyBody")),),
    does=(
        Does(
            action="DeleteKeyPairs",
            given_by={"KeyPairNames": "KeyPairName"},
            is_grave=True,
            leaves=True,
        ),
    ),
)

PAGES: tuple[Page, ...] = tuple(family.pages(KEY_PAIRS))
