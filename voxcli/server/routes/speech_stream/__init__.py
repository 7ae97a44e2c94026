"""Speech stream: the WebSocket `/v1/audio/speech/stream`."""
