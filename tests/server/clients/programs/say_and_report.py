"""What the programs share: say a text with one client, write the sound to a file, and report as JSON.

    python speak_with_CLIENT.py URL VOICE TEXT OUT [--leave]

With --leave, the program goes away after the first sound.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

Speak: TypeAlias = Callable[[str, str, str], AsyncIterator[tuple[bytes, int]]]
"""From a URL, a voice and a text to pieces of sound with their sample rate, which is 0 for pieces of a file."""


def main(speak: Speak) -> None:
    asyncio.run(report(speak))


async def report(speak: Speak) -> None:
    url, voice, text, out = sys.argv[1:5]
    sound, rate = bytearray(), 0
    answer: dict[str, object] = {}
    try:
        async with aclosing(speak(url, voice, text)) as pieces:
            async for piece, piece_rate in pieces:
                sound += piece
                rate = piece_rate
                if "--leave" in sys.argv:
                    break
    except Exception as error:  # noqa: BLE001 - whatever the client raises is what its user sees
        answer["error"] = f"{type(error).__name__}: {error}"
    Path(out).write_bytes(sound)
    sys.stdout.write(json.dumps({**answer, "rate": rate}) + "\n")
