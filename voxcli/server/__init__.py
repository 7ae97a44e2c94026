"""HTTP server: one engine behind three protocols."""
