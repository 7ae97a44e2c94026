"""Commands, one module or folder each."""
