"""Errors that operations of several groups share, by what they are about. An operation's own stand in its file."""
