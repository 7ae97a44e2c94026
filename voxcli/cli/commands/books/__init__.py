"""Documents and books: listed, spoken chapter by chapter, and made into audiobooks."""
