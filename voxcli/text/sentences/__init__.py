"""Sentences out of a text that may still be arriving."""
