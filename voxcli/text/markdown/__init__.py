"""Markdown, read block by block while it arrives, as the text to speak."""
