"""What counts as a letter in a name, and which characters no text may hold.

Names are compared in the normal form NFC: an é that a client sends as an e with
an accent is the é of all others. What cannot be put together into one letter,
and what does not show, is no part of a name, so that two names that look the
same are the same.
"""

from __future__ import annotations

import re
import unicodedata

#: Script=Han of Unicode: the signs for repetition, zero and other numbers, the ideographs of the basic plane and
#: their compatibility forms, and those of the planes two and three.
_HAN = (
    (0x3005, 0x3005), (0x3007, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2EE5F), (0x2F800, 0x2FA1F), (0x30000, 0x3347F),
)  # fmt: skip

#: Letters by their category that leave no mark: the fillers of Hangul.
_UNSEEN = frozenset("\u115f\u1160\u3164\uffa0")

#: Control characters but for tabs and ends of lines, what turns the direction of the text around, and no characters.
_UNTEXTLIKE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def compose(text: str) -> str:
    """*text* in NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_english_or_chinese(c: str) -> bool:
    """Whether *c* is an English letter or a Chinese character."""
    if c.isascii():
        return c.isalpha()
    code = ord(c)
    return any(first <= code <= last for first, last in _HAN)


def is_letter(c: str) -> bool:
    """Whether *c* is a letter of any script."""
    if c.isascii():
        return c.isalpha()
    return (unicodedata.category(c)[0] == "L" and c not in _UNSEEN) or is_english_or_chinese(c)


def is_text(text: str) -> bool:
    """Whether *text* can be shown as it is: it moves no cursor and turns nothing around."""
    return _UNTEXTLIKE.search(text) is None
