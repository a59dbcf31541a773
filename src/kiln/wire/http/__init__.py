"""HTTP before anybody is known: what is read at all, for how long, and from how many at once."""
