"""What every part stands on, whatever it is for: clock, journal, kill points, units, short files, dataclasses."""
