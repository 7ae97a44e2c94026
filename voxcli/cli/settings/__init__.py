"""Settings files, server profiles and API keys of the user."""
