"""What happens when a disk is full: a clear failure, and nothing lost."""
