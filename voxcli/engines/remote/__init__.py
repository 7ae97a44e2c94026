"""A server as an engine."""
