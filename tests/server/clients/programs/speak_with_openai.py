"""OpenAI's own package for Python, streaming."""

from collections.abc import AsyncIterator

from openai import AsyncOpenAI
from say_and_report import main


async def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="any")
    request = client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice=voice, input=text, instructions="Speak in a cheerful tone."
    )
    async with request as answer:
        async for piece in answer.iter_bytes():
            yield piece, 0


main(speak)
