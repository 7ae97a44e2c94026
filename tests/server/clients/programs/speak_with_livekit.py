"""LiveKit's agents: `livekit-plugins-openai`."""

from collections.abc import AsyncIterator

from livekit.plugins.openai import TTS
from say_and_report import main


async def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    client = TTS(base_url=f"{url}/v1", api_key="any", voice=voice)
    try:
        async with client.synthesize(text) as stream:
            async for event in stream:
                yield bytes(event.frame.data), event.frame.sample_rate
    finally:
        await client.aclose()


main(speak)
