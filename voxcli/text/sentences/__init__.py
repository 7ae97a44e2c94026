"""Sentence splitting of text that may still be arriving."""
