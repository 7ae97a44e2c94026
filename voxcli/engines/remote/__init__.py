"""Remote engine: synthesis on a server."""
