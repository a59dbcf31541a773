"""The console: pages for a browser, made on the server by a client of the API that can do nothing more than another."""
