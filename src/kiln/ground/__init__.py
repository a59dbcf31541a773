"""What every part stands on, whatever it is for: the clock, the journal, kill points, units, turns, short files."""
