"""Puts it all together and owns its end. The only place that reads the environment."""
