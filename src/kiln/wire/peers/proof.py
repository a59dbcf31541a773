"""By what processes of a deployment know each other."""

from __future__ import annotations

import ssl

from kiln.ground.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The certificate of one process, and what it takes for proof of others'."""

    answers: ssl.SSLContext  #: For who asks it: nobody is let in without a certificate of the deployment.
    asks: ssl.SSLContext  #: For whom it asks: who answers has to have that of the name that is asked for.


def name_of(member: str) -> str:
    """What the certificate of a process is for, by its ID in the database; no resolver is asked for it."""
    return f"{member}.kiln.internal"
