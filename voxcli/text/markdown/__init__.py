"""Markdown to plain text for reading aloud, while it may still be arriving."""
