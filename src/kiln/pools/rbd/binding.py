"""Ceph's own modules for Python, ``rados`` and ``rbd``, which come with Debian's Ceph and are on no index.

They are made for the Python of the distribution. Kiln's environment stands on
that one, but does not see its packages, and is not to see the others: so these
two are looked for in the folder of the distribution too, and nothing else is.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType

from kiln.pools.errors import ToolFailed

#: Where Debian and Ubuntu have the packages of their own Python.
DISTRIBUTION = "/usr/lib/python3/dist-packages"


def load() -> tuple[ModuleType, ModuleType]:
    """The modules ``rados`` and ``rbd``. Raises ToolFailed, which says what to do, where this Python has none."""
    return _load("rados"), _load("rbd")  # In this order: the second looks for the first by its name.


def _load(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    found = PathFinder.find_spec(name), PathFinder.find_spec(name, [DISTRIBUTION])
    # A folder of that name, in which somebody keeps other things, is a module too, of which there is no file.
    spec = next((one for one in found if one is not None and one.has_location), None)
    if spec is None or spec.loader is None:
        ours = ".".join(map(str, sys.version_info[:2]))
        raise ToolFailed(
            f"Ceph's Python module {name!r} is not there for Python {ours}, with which Kiln runs: install the package "
            f"python3-{name}, and run Kiln with the Python of the same distribution"
        )
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        del sys.modules[name]
        raise ToolFailed(f"Ceph's Python module {name!r} cannot be loaded: {error}") from error
    return module
