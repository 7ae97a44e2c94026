"""Text preparation for speech, of text that may still be arriving."""
