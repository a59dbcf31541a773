"""Backups: a consistent copy of database and pool while everything runs, its check, and a data folder made of one."""
