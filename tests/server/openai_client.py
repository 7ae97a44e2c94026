"""OpenAI's own package, as the tests use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from openai import OpenAI

from tests.server.tone import ToneEngine


def client_of(url: str, **options: Any) -> OpenAI:
    return OpenAI(**{"base_url": f"{url}/v1", "api_key": "any", "max_retries": 0, **options})


def say(client: OpenAI, text: str, **fields: Any) -> bytes:
    return client.audio.speech.create(**{"model": "x", "voice": "alloy", "input": text, **fields}).read()


@contextmanager
def going_on(engine: ToneEngine) -> Iterator[None]:
    """Let the engine go on in the end, whatever happens: else nobody would ever be done."""
    try:
        yield
    finally:
        engine.go.set()
