"""Sound as numbers and as bytes."""
