"""What can be said: a module for each word of ``kiln.cli.main``, which loads it when it is said."""
