"""Keeps the tables of one pipeline quick to open and cheap to keep: `stream-processor maintain`."""
