"""Benchmarks of engines and servers: measurements and their reports."""
