"""The changes, oldest first by number. ``tools/migration.py`` writes new ones."""
