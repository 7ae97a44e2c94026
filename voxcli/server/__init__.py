"""One given engine behind HTTP, in three dialects."""
