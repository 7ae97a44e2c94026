"""Audio: samples, and their encoded forms."""
