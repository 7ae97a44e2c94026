"""The proxy wyoming_openai, through which Home Assistant speaks: started here, and asked as Home Assistant does."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

from say_and_report import main
from wyoming.audio import AudioChunk, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.tts import Synthesize, SynthesizeVoice


async def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--uri", f"tcp://127.0.0.1:{port}", "--tts-openai-url", f"{url}/v1", "--tts-models", "tts-1"]
    proxy = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wyoming_openai", *options, stdout=sys.stderr.fileno()
    )
    try:
        async with aclosing(ask(port, voice, text)) as pieces:
            async for piece in pieces:
                yield piece
    finally:
        proxy.terminate()
        await proxy.wait()


async def ask(port: int, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    client = AsyncTcpClient("127.0.0.1", port)
    for _ in range(600):
        try:
            await client.connect()
            break
        except OSError:
            await asyncio.sleep(0.1)
    await client.write_event(Synthesize(text, voice=SynthesizeVoice(name=voice)).event())
    while (event := await client.read_event()) is not None and not AudioStop.is_type(event.type):
        if Error.is_type(event.type):
            raise RuntimeError(Error.from_event(event).text)
        if AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            yield chunk.audio, chunk.rate
    await client.disconnect()
    if event is None:
        raise ConnectionError("The proxy closed the connection.")


main(speak)
