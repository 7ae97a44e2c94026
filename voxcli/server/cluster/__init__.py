"""Replicas of the server by Ray Serve, on one machine or on many."""
