"""Operation of a server: TLS, a log of requests, and traces."""
