"""oslo.utils' inspector of formats, imported without the package around it, and without what opens encrypted disks.

That package reads what qemu-img prints, too, and to hide passwords in it compiles a hundred regular expressions as it
is imported, which takes longer than to start Python and to judge a file together. What opens LUKS loads a library of
ciphers, a third of the rest, and Kiln asks for no such disk to be opened. Nobody else is affected: who imports the
package later gets it whole, and what opens LUKS is loaded when something of it is used.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_PACKAGE = "oslo_utils.imageutils"


class _Later(ModuleType):
    """A module that is run when something of it is used; what the inspector's annotations name is none of that."""

    LUKSHeader = dict

    def __getattr__(self, name: str) -> Any:
        loader = None if self.__spec__ is None else self.__spec__.loader
        if loader is None or name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment] # From here on it is like any other.
        loader.exec_module(self)
        return getattr(self, name)


def _stand_in() -> bool:
    """Have the package be known without having been run; whether it was not known before."""
    spec = find_spec(_PACKAGE)
    if spec is None or _PACKAGE in sys.modules:
        return False
    sys.modules[_PACKAGE] = module_from_spec(spec)
    ciphers = f"{_PACKAGE}._luks"
    later = _Later(ciphers)
    later.__spec__ = find_spec(ciphers)
    sys.modules[ciphers] = later
    return True


_is_stand_in = _stand_in()
from oslo_utils.imageutils import format_inspector  # noqa: E402 - what is above decides what this imports.

if _is_stand_in:
    del sys.modules[_PACKAGE]

__all__ = ["format_inspector"]
