"""ElevenLabs' WebSockets: `stream-input`, and `multi-stream-input` for several texts on one socket."""
