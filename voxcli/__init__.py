"""The command line that speaks, and the library under it."""

__version__ = "0.1.0"
