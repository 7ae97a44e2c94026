"""Reports: summaries, comparisons, tables, plots and files of results."""
