"""What the operations on snapshots are built of."""
