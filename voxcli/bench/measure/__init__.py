"""Measurements: texts, runs, load tests and the validity of runs."""
