"""OpenAI's speech API, for client and server."""
