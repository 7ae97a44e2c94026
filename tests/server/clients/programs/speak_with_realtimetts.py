"""RealtimeTTS's `OpenAIEngine`, without the PyAudio that plays what it queues."""

import os
import queue
import sys
import types
from collections.abc import AsyncIterator

from say_and_report import main

sys.modules.setdefault("pyaudio", types.ModuleType("pyaudio"))


async def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    from RealtimeTTS.engines.openai_engine import OpenAIEngine

    os.environ["OPENAI_BASE_URL"] = f"{url}/v1"
    engine = OpenAIEngine(voice=voice, api_key="any")
    engine.queue = queue.Queue()
    engine.synthesize(text)
    while not engine.queue.empty():
        yield engine.queue.get(), 0


main(speak)
