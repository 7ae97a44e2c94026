"""Provenance on the command line: what is written into files, read back, and made again."""
