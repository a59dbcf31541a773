"""Addresses of this host's that no other run of the tests has, however many there are at once."""

from __future__ import annotations

import os


def an_address() -> str:
    """One of the loopback's two million that neither Kiln nor a test gives away otherwise."""
    high, middle, low = os.urandom(3)
    return f"127.{96 + high % 32}.{middle}.{1 + low % 254}"
