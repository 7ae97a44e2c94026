"""Synthesis: requests, the pipeline from text to sound, and its timing."""
