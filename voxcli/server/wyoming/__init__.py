"""Wyoming server: speech for Home Assistant over TCP or a Unix socket, beside HTTP and with the same slots."""
