"""The LUKS header of an encrypted volume: the only place in Kiln that writes one, and reads what it says.

``qemu-img create`` takes 2.3 s of a processor for one, nearly all of it to find
out how many rounds of PBKDF2 last how long. That is what keeps a word that people
remember from being guessed; here the passphrase is 256 random bits, for which the
least number of rounds that tools accept is as good. So it takes 15 ms.

Layout, as of LUKS 1 and as QEMU writes it: a header of 592 bytes, and from 4 KiB
on eight places for the volume's own key, of which the first is used. The key is
split so that one lost sector of it loses it all.

Two fields tell Kiln what the passphrase is made of: the UUID is the ID of the key
that the volume is encrypted with, and the salt of the volume's key is a random
half, from which with that key the passphrase is derived, and a half that is right
for that passphrase alone: whether a key is the right one is known without trying.
Source: LUKS On-Disk Format Specification 1.2.3.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kiln.ground.passphrases import Passphrase
from kiln.ground.units import KiB
from kiln.ground.values import dataclass
from kiln.pools.errors import VolumeBroken, VolumeLocked

#: Of the ID of a key, a volume's random half and the volume's name, the passphrase. None where there is no such key any
#: more, or where the volume is known to have another. One that is just being made has no name yet: it is empty.
Keys = Callable[[str, bytes, str], str | None]

_SECTOR = 512
_MAGIC, _VERSION = b"LUKS\xba\xbe", 1
# Magic, version, cipher, its mode, hash, sectors before the data, bytes of the key, its digest, salt and rounds, UUID.
_HEADER = struct.Struct(">6sH32s32s32sII20s32sI40s")
_SLOT = struct.Struct(">II32sII")  # State, rounds, salt, sector, stripes.
_SLOTS, _USED, _UNUSED = 8, 0x00AC71F3, 0x0000DEAD
_FIRST_SLOT = 4 * KiB
_KEY_BYTES, _STRIPES, _DIGEST_BYTES, _SALT_BYTES = 64, 4000, 20, 32
_ROUNDS = 1000  # The least that cryptsetup and QEMU write.
_SLOT_SECTORS = -(-_KEY_BYTES * _STRIPES // (4 * KiB)) * 8
_PAYLOAD_SECTOR = _FIRST_SLOT // _SECTOR + _SLOTS * _SLOT_SECTORS
_HASH, _HASH_BYTES = "sha256", 32
_CIPHER = (b"aes", b"xts-plain64", b"sha256")

HEADER_BYTES = _HEADER.size + _SLOTS * _SLOT.size  #: As far as ``read`` looks.
LENGTH = _PAYLOAD_SECTOR * _SECTOR  #: Bytes that a header has in a file; all but the first 254 KiB are a hole.
KEY_ID_MOST = 39  #: ASCII letters of a key's ID.


@dataclass(frozen=True)
class Lock:
    """What a volume's header says of how it is encrypted."""

    key: str  #: The ID of the key.
    nonce: bytes
    proof: bytes  #: Right for one passphrase alone.


def no_keys(_: str, __: bytes, ___: str) -> str | None:
    """The keys of who has none."""
    return None


def forge(key: str, keys: Keys) -> bytes:
    """The header of a new volume, as far as it holds anything. Raises VolumeLocked when there is no such key."""
    if not 0 < len(key) <= KEY_ID_MOST or not key.isascii():
        raise ValueError(f"{key!r} cannot be the ID of a key")
    nonce = os.urandom(_SALT_BYTES // 2)
    text = keys(key, nonce, "")
    if text is None:
        raise VolumeLocked(f"there is no key {key}")
    own, slot_salt = os.urandom(_KEY_BYTES), os.urandom(_SALT_BYTES)
    salt = nonce + _proof(text, nonce)
    digest = hashlib.pbkdf2_hmac(_HASH, own, salt, _ROUNDS, _DIGEST_BYTES)
    fields = (_PAYLOAD_SECTOR, _KEY_BYTES, digest, salt, _ROUNDS, key.encode())
    header = _HEADER.pack(_MAGIC, _VERSION, *_CIPHER, *fields)
    header += _slots(slot_salt)
    unlocking = hashlib.pbkdf2_hmac(_HASH, text.encode(), slot_salt, _ROUNDS, _KEY_BYTES)
    return header.ljust(_FIRST_SLOT, b"\0") + _enciphered(unlocking, _split(own))


def read(header: bytes, volume: str) -> Lock:
    """What the first ``HEADER_BYTES`` say. Raises VolumeBroken when no Kiln wrote them."""
    if len(header) < HEADER_BYTES:
        raise VolumeBroken(f"{volume} is encrypted, and its key is cut off")
    magic, version, *cipher, payload_sector, key_bytes, _, salt, rounds, key = _HEADER.unpack_from(header)
    if (magic, version) != (_MAGIC, _VERSION) or tuple(word.rstrip(b"\0") for word in cipher) != _CIPHER:
        raise VolumeBroken(f"{volume} is encrypted in a way that no volume is")
    _, _, slot_salt, *_ = _SLOT.unpack_from(header, _HEADER.size)
    slots = header[_HEADER.size : HEADER_BYTES]
    if (payload_sector, rounds) != (_PAYLOAD_SECTOR, _ROUNDS) or slots != _slots(slot_salt):
        # A machine that took part in a broken QEMU may write as many rounds as keep a processor busy for days.
        raise VolumeBroken(f"{volume} is encrypted, and what says how was changed")
    name = key.rstrip(b"\0")
    if key_bytes != _KEY_BYTES or not name.isascii() or not name.decode("ascii").isprintable():
        raise VolumeBroken(f"{volume} is encrypted with something that is no key")
    return Lock(name.decode("ascii"), salt[: _SALT_BYTES // 2], salt[_SALT_BYTES // 2 :])


def require_lock(lock: Lock | None) -> Lock:
    """The lock of a volume that must have one. Raises VolumeBroken."""
    if lock is None:
        raise VolumeBroken("a volume that was to be encrypted is not")
    return lock


def open_lock(lock: Lock, volume: str, keys: Keys) -> Passphrase:
    """The passphrase of a volume.

    Raises VolumeLocked when the key is not there, is another than it was, or is not the one that the volume has.
    """
    text = keys(lock.key, lock.nonce, volume)
    if text is None or not hmac.compare_digest(_proof(text, lock.nonce), lock.proof):
        raise VolumeLocked(f"{volume} is encrypted, and the key {lock.key} is missing, or is not the one of then")
    # No node has its name for long: the file of a volume may be replaced by one that has another key.
    return Passphrase(f"key-{lock.nonce.hex()}", text)


def _slots(salt: bytes) -> bytes:
    """What a header says of its eight places; *salt* is that of the one that is used."""
    table = b""
    for number in range(_SLOTS):
        sector = _FIRST_SLOT // _SECTOR + number * _SLOT_SECTORS
        state = (_USED, _ROUNDS, salt) if number == 0 else (_UNUSED, 0, b"")
        table += _SLOT.pack(*state, sector, _STRIPES)
    return table


def _proof(text: str, nonce: bytes) -> bytes:
    return hmac.digest(text.encode(), b"kiln volume" + nonce, _HASH)[: _SALT_BYTES // 2]


def _split(key: bytes) -> bytes:
    """The key as so many stripes, of which all are needed: ``AFsplit`` of the specification."""
    stripes = os.urandom(len(key) * (_STRIPES - 1))
    block = bytes(len(key))
    for at in range(0, len(stripes), len(key)):
        block = _diffused(_xor(block, stripes[at : at + len(key)]))
    return stripes + _xor(block, key)


def _diffused(block: bytes) -> bytes:
    parts = range(0, len(block), _HASH_BYTES)
    return b"".join(
        hashlib.sha256((at // _HASH_BYTES).to_bytes(4, "big") + block[at : at + _HASH_BYTES]).digest() for at in parts
    )


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _enciphered(key: bytes, data: bytes) -> bytes:
    """*data* by AES in XTS mode, sector by sector, each tweaked by its number."""
    sectors = []
    for at in range(0, len(data), _SECTOR):
        tweak = (at // _SECTOR).to_bytes(16, "little")
        encryptor = Cipher(algorithms.AES(key), modes.XTS(tweak)).encryptor()
        sectors.append(encryptor.update(data[at : at + _SECTOR]) + encryptor.finalize())
    return b"".join(sectors)
