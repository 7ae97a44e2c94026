"""The parts of measure_engine.py."""
