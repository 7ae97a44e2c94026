"""ElevenLabs' own package: `convert_realtime`, which sends a text in pieces."""

import asyncio
from collections.abc import AsyncIterator

from elevenlabs.client import ElevenLabs
from say_and_report import main


async def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    client = ElevenLabs(api_key="any", base_url=url)
    # The package asks for TLS, whatever the address says; a server without it needs this.
    client.text_to_speech._ws_base_url = url.replace("http", "ws")
    pieces = client.text_to_speech.convert_realtime(voice, text=iter(text.split()), output_format="pcm_24000")
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece, 24000


main(speak)
