"""Private connections, of programs of the user who runs the server: sockets, access, clips, errors and keep-alive."""
