"""What the pages of every noun have in common: a listing, one row's facts, and forms for what can be done with it."""
