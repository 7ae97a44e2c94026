"""ElevenLabs' WebSockets for text that is still being written.

Sources: elevenlabs-python 2.78 (realtime_tts.py), livekit-plugins-elevenlabs 1.8.9 and pipecat-ai 1.14, which are its
clients, and the reference at elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-stream-input.
"""
