"""OpenAI's Realtime API, of which only the speech is there."""
