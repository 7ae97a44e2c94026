"""Words of a text: its speakers, how they are pronounced, and the command for lexicons."""
