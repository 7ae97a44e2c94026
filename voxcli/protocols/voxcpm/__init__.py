"""VoxCPM's native API, for client and server."""
