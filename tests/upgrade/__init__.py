"""What older versions of Kiln left on disk, and what this one makes of it."""
