"""Reports: records, statistics, comparisons, tables and plots."""
