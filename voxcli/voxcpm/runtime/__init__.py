"""The runtime: scheduler, streams, runners, CUDA graphs."""
