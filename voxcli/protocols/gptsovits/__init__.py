"""GPT-SoVITS api_v2, for client and server."""
