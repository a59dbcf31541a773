"""The command line: hand-written words, in ``words/``, and ``kiln call`` for every action there is.

It asks the service over HTTP, as any customer does. Only the words that run a
service (``serve``, ``env`` and their like) reach into it.
"""
