from __future__ import annotations

import hashlib
import hmac

import pytest

from kiln.wire.signatures.digests import digest, keyed


def test_sm3_gives_the_standard_s_own_example():
    """GB/T 32905-2016, appendix A.1."""
    assert digest("sm3", b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
def test_is_hashlib_s_where_hashlib_has_it(kind):
    assert digest(kind, b"abc") == hashlib.new(kind, b"abc").digest()
    assert keyed(kind, b"key", b"abc") == hmac.new(b"key", b"abc", kind).digest()


@pytest.mark.parametrize("key", [b"key", b"k" * 100])
def test_the_keyed_sm3_is_an_hmac(key):
    """RFC 2104, spelled out with a block of 64 bytes."""
    padded = (digest("sm3", key) if len(key) > 64 else key).ljust(64, b"\0")
    inner = digest("sm3", bytes(b ^ 0x36 for b in padded) + b"abc")

    assert keyed("sm3", key, b"abc") == digest("sm3", bytes(b ^ 0x5C for b in padded) + inner)
