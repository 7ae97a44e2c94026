"""Text normalization: numbers, dates, units and symbols in words."""
