"""LiveKit's agents with ElevenLabs' sockets: `livekit-plugins-elevenlabs`, which sends a text in pieces."""

from collections.abc import AsyncIterator

import aiohttp
from livekit.plugins.elevenlabs import TTS
from say_and_report import main


async def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    async with aiohttp.ClientSession() as session:
        client = TTS(base_url=f"{url}/v1", api_key="any", voice_id=voice, encoding="pcm_24000", http_session=session)
        try:
            async with client.stream() as stream:
                for word in text.split():
                    stream.push_text(f"{word} ")
                stream.end_input()
                async for event in stream:
                    yield bytes(event.frame.data), event.frame.sample_rate
        finally:
            await client.aclose()


main(speak)
