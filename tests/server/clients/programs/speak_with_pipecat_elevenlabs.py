"""Pipecat's `ElevenLabsTTSService`, which sends a text in pieces."""

from collections.abc import AsyncIterator

from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat_pipeline import spoken_by
from say_and_report import main


def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    settings = ElevenLabsTTSService.Settings(voice=voice)
    return spoken_by(ElevenLabsTTSService(api_key="any", url=url.replace("http", "ws"), settings=settings), text)


main(speak)
