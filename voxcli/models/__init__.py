"""Models on disk, and their download from a hub."""
