"""Hosts that share one database and one pool, simulated from a seed: see ``life``."""
