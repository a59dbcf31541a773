"""Where a process of the command line begins: until a word is loaded, Ctrl-C ends it quietly and at once.

Python makes an exception of Ctrl-C, which in the midst of its imports shows all
of them, and there it may even be lost. So a process here is ended by the signal
itself, as a program in C is, for as long as there is nothing to be taken away.
``kiln.cli.ending`` says when that begins and ends.
"""

from __future__ import annotations

import importlib
import signal


def main() -> None:
    """Run the command line of this process. Whoever starts it may hold SIGINT back until here, as ``./kiln`` does."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    importlib.import_module("kiln.cli.main").main()


if __name__ == "__main__":
    main()
