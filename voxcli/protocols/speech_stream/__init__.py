"""Speech stream, the WebSocket `/v1/audio/speech/stream`: text in as it is written, speech out sentence by sentence.

Sources: vLLM-Omni 0.30 (serving_speech_stream.py) and SGLang-Omni 0.1.9 (speech_ws.py), whose messages differ in a few
places, and the proposal of a cancellation in vllm-omni#1480. Ours are a superset of both.
"""
