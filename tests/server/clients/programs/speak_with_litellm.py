"""LiteLLM's `aspeech`, for a server that speaks OpenAI's protocol."""

from collections.abc import AsyncIterator

import litellm
from say_and_report import main


async def speak(url: str, voice: str, text: str) -> AsyncIterator[tuple[bytes, int]]:
    answer = await litellm.aspeech(
        model="openai/tts-1", voice=voice, input=text, api_base=f"{url}/v1", api_key="any", max_retries=0
    )
    yield answer.content, 0


main(speak)
