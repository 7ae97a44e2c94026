"""Parser of the command line: commands, words of other programs, messages about mistakes, and help."""
