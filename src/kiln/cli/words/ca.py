"""``kiln ca``: whom clients have to trust who speak TLS with this machine's Kiln."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, Shared
from kiln.cli.grammar import example, group
from kiln.cli.output import show_text
from kiln.ground.short_files import NotShort, read_short_text
from kiln.service.settings import read_settings

app = group()

Pem = Annotated[bool, typer.Option("--pem", help="Print the certificate itself, to be kept where clients run.")]


@app.command("ca", epilog=example('export SSL_CERT_FILE="$(kiln ca)"', "kiln ca --pem"))
def run(*, data: Data = None, shared: Shared = None, pem: Pem = False) -> None:
    """Print where the certificate is that clients have to trust.

    This machine's Kiln answers by the names of the cloud, with certificates that
    it signs itself: to who comes through it as HTTPS_PROXY, and to whom a file of
    hosts has led to it. A client is told the signer's in one variable: programs
    in Go (Packer, Terraform, aliyun) in SSL_CERT_FILE, Python's classic SDK in
    ALIBABA_CLOUD_CA_BUNDLE, requests in REQUESTS_CA_BUNDLE, Python's own ssl in
    SSL_CERT_FILE, and Node in NODE_EXTRA_CA_CERTS. Python's current SDK reads it
    from none of them behind a proxy, but from `ca` of its Config.

    `kiln env CLIENT` prints what a client needs, and `kiln run -- CMD` runs it
    so. Do not add the certificate to those that a whole machine trusts: whoever reads
    ca.key can then be any name to it.
    """
    path = read_settings(os.environ, data=data, shared=shared).folder.ca
    try:
        text = read_short_text(path)
    except FileNotFoundError:
        raise Refusal(f"{path} is not there", exits.FILE, "`kiln serve` makes it at its first start.") from None
    except (OSError, NotShort, ValueError) as error:
        raise Refusal(f"{path}: {getattr(error, 'strerror', None) or error}", exits.FILE) from error
    show_text(text if pem else f"{path}\n")
