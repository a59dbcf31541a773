"""What Kiln does on its own: dropping what nothing names, keeping chains short, noticing machines that died."""
