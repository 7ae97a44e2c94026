"""OpenAI's Agents SDK: the text-to-speech model of its voice pipelines."""

from collections.abc import AsyncIterator

from agents.voice import OpenAIVoiceModelProvider, TTSModelSettings
from say_and_report import main


async def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    model = OpenAIVoiceModelProvider(api_key="any", base_url=f"{url}/v1").get_tts_model(None)
    async for piece in model.run(text, TTSModelSettings(voice=voice)):
        yield piece, 24000


main(speak)
