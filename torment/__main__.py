"""``./kiln torment``: try what a month of bad luck and bad neighbours bring, and say what was lost."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.place import NoDisk, open_folder
from torment.campaign import Campaign
from torment.sections import SECTIONS


def main(arguments: Sequence[str]) -> int:
    """Run the campaign; 0 when everything held, 1 when something did not or nothing could be tried."""
    given = parser().parse_args(arguments)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**9)
    campaign = Campaign(seed=seed, is_short=given.short, say=_say)
    _say(f"seed {seed}; the same again: ./kiln torment --seed {seed}{' --short' if given.short else ''}")
    try:
        with open_folder(given.data) as folder:
            for name in given.section or SECTIONS:
                score = campaign.run(SECTIONS[name], folder / name, given.tries)
                # Where everything has to be there, what could not be tried counts as failed.
                if score.skipped and not score.may_be_skipped and os.environ.get("CI"):
                    _say(f"  {name} could not be tried: {score.skipped}")
                    return 1
    except NoDisk as error:
        _say(f"torment: {error}")
        return 1
    except KeyboardInterrupt:
        _say("\ntorment: interrupted")
        return 130
    return 0 if campaign.conclude() else 1


def parser() -> argparse.ArgumentParser:
    """What may be said after ``./kiln torment``."""
    sections = "\n".join(f"  {section.name:<10} {section.what}" for section in SECTIONS.values())
    made = argparse.ArgumentParser(
        prog="./kiln torment",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Try what bad luck and bad neighbours bring, on a Kiln made for it, and count what was lost (bytes "
        "that were\npromised), accepted (what should have been refused) and failed (crashes, and answers 5xx).\n\n"
        f"{sections}",
        epilog="The exit code is 1 when anything did not hold. Everything that is made is removed at the end.",
    )
    made.add_argument("--seed", type=int, metavar="N", help="choose as an earlier campaign did, which printed N")
    made.add_argument("--short", action="store_true", help="a minute or two instead of some ten")
    made.add_argument("--tries", type=int, metavar="N", help="so many of each section")
    made.add_argument("--section", action="extend", nargs="+", choices=SECTIONS, metavar="NAME", help="only these")
    made.add_argument(
        "--data", type=Path, metavar="FOLDER", help="work below this folder ($TMPDIR or /var/tmp when not given)"
    )
    return made


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
