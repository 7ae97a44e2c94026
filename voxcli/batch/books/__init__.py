"""Audiobooks: sentences kept in a folder until the book is whole, and books in one file or in a file per chapter."""
