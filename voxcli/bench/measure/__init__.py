"""Measurements: texts, runs, load, and what counts as a valid run."""
