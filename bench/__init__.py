"""Figures: Kiln against floors and peers, all in one run on the same disk. ``./kiln bench`` runs it."""
