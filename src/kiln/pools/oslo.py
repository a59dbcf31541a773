"""oslo.utils' inspector of formats, imported without the package around it.

That package reads what qemu-img prints, too, and to hide passwords in it compiles a hundred regular expressions as it
is imported, which takes longer than to start Python and to judge a file together. Nobody else is affected: who
imports the package later gets it whole.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec

_PACKAGE = "oslo_utils.imageutils"


def _stand_in() -> bool:
    """Have the package be known without having been run; whether it was not known before."""
    spec = find_spec(_PACKAGE)
    if spec is None or _PACKAGE in sys.modules:
        return False
    sys.modules[_PACKAGE] = module_from_spec(spec)
    return True


_is_stand_in = _stand_in()
from oslo_utils.imageutils import format_inspector  # noqa: E402 - what is above decides what this imports.

if _is_stand_in:
    del sys.modules[_PACKAGE]

__all__ = ["format_inspector"]
