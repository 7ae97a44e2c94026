"""Messages that travel over HTTP, one folder per protocol, for client and server alike. No HTTP library is imported."""
