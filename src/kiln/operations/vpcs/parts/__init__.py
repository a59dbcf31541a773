"""What the operations on VPCs are built of."""
