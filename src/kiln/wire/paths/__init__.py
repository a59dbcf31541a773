"""What each path of the server answers: a small ASGI application for each, and the table that chooses among them."""
