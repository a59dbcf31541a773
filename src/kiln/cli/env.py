"""``kiln env``: what clients need to know, as lines for a shell."""

from __future__ import annotations

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.cli.flags import takes_settings
from kiln.cli.grammar import example, group
from kiln.cli.output import show_text
from kiln.service.environment import environment, to_shell
from kiln.service.settings import Settings

app = group()

FLAGS = ("data", "listen", "database", "regions")


def run(settings: Settings) -> None:
    """Print the settings that clients of this machine's Kiln need, as lines for a shell.

    They name the endpoint, the keys, the region and the data folder, for this
    command line, the official SDKs, the aliyun CLI, Terraform and Packer. A Kiln
    that is just starting is waited for; where none has run, nothing is made.
    """
    try:
        show_text(to_shell(environment(settings)))
    except OSError as error:
        raise Refusal(f"{error.filename or settings.data}: {error.strerror}", exits.SETTINGS) from error


app.command("env", epilog=example('eval "$(kiln env)"', 'eval "$(kiln env --data ~/kiln)"'))(takes_settings(run, FLAGS))
