"""Streams: a generator on a thread of its own, and the HTTP response it feeds."""
