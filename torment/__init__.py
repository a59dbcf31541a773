"""A campaign of bad luck and bad neighbours against Kiln, which can be run again: ``./kiln torment``."""
