"""``kiln completion``: what a shell has to be told, so that Tab completes words, options, values and live names."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import typer.completion

from kiln.cli.grammar import COMPLETE_VARIABLE, example, group
from kiln.cli.output import show_text

app = group()

_SHELLS = ("bash", "zsh", "fish")

#: Zsh loads a file of ``fpath`` at the first Tab, and calls it for what to show; typer's only defines what is called.
_FIRST_TAB_OF_ZSH = """
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _kiln_completion "$@"; fi
"""

#: What has a shell ask the command that was typed, which may be ``./kiln``; typer's scripts ask one of the path. Its
#: script for bash does that by itself.
_CALLED = {
    "zsh": {"=complete_zsh kiln)": "=complete_zsh ${(Q)words[1]})"},
    "fish": {
        ' kiln)"': ' (commandline -opc)[1])"',
        '(commandline -cp) kiln"': '(commandline -cp) (commandline -opc)[1]"',
    },
}

_EXAMPLE = example(
    'eval "$(kiln completion bash)"',
    "kiln completion zsh",
    "kiln completion fish",
)


@app.command("completion", epilog=_EXAMPLE)
def run(
    shell: Annotated[
        str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", autocompletion=lambda: list(_SHELLS))
    ],
) -> None:
    """Print what has a shell complete words, options and names.

    Allowed values are completed, too, and names and IDs as the service has them then.
    With bash, `eval` it in ~/.bashrc; with zsh, write it to a file `_kiln` in a folder of
    `fpath`; with fish, to ~/.config/fish/completions/kiln.fish.
    """
    if shell not in _SHELLS:
        raise typer.BadParameter(f"{shell!r} is none of {', '.join(_SHELLS)}")
    # What typer's own words call; its types do not say that it is there.
    script: Any = vars(typer.completion)["get_completion_script"]
    text = script(prog_name="kiln", complete_var=COMPLETE_VARIABLE, shell=shell)
    for was, called in _CALLED.get(shell, {}).items():
        text = text.replace(was, called)
    show_text(text + (_FIRST_TAB_OF_ZSH if shell == "zsh" else ""))
