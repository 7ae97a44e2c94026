"""Pipecat's `OpenAITTSService`."""

from collections.abc import AsyncIterator

from pipecat.services.openai.tts import OpenAITTSService
from pipecat_pipeline import spoken_by
from say_and_report import main


def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    settings = OpenAITTSService.Settings(voice=voice)
    return spoken_by(OpenAITTSService(api_key="any", base_url=f"{url}/v1", settings=settings), text)


main(speak)
