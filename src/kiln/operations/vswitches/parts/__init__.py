"""What the operations on VSwitches are built of."""
