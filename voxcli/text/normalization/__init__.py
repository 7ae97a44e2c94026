"""Numbers, dates, units and symbols, spelled out in words."""
