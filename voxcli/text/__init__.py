"""Text made ready to be spoken, while it may still be arriving."""
