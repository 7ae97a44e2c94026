"""What travels over HTTP, one module per dialect, read by client and server alike; no HTTP library is known here."""
