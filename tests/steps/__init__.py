"""Every step of everything that is carried out, passed twice and failing once."""
