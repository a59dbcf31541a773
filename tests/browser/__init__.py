"""What is seen in a browser: Debian's Chromium, driven by Playwright, before a served Kiln."""
