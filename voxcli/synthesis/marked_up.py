"""Texts that are marked up or name voices: SSML, and `[voice:name]` as for Kokoro-FastAPI."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from voxcli.errors import NotFound
from voxcli.synthesis.pipeline import NO_SPEAKERS, Delivery, Speakers, prepared_speakers
from voxcli.synthesis.request import Engine, Voice
from voxcli.text.parts import TextPiece
from voxcli.text.script import ScriptNames, ScriptReader, read_script
from voxcli.text.ssml import is_ssml
from voxcli.text.ssml.reader import read_ssml


class MarkedUpText(NamedTuple):
    """A text as it is read, and the voices that it names."""

    pieces: Iterable[TextPiece]
    """To be read once."""
    voices: tuple[str, ...] = ()


def read_marked_up(text: str) -> MarkedUpText:
    """Return a complete text as it is read; one without markup as it is.

    Raises:
        RequestError: it is SSML that cannot be spoken.
    """
    if is_ssml(text):
        return MarkedUpText(*read_ssml(text))
    if "[voice:" not in text.lower():
        return MarkedUpText([text])
    names = ScriptNames(speakers={}, lines=False, any_voice=True)
    return MarkedUpText(ScriptReader(names).pieces([text]), tuple(read_script(text, names)[0]))


def find_speakers(
    names: Iterable[str], delivery: Delivery, engine: Engine, find_voice: Callable[[str], Voice | None]
) -> Speakers:
    """Return the speakers for the voices that a text names, who speak as the rest of it does.

    Args:
        find_voice: may read files.

    Raises:
        NotFound: there is no such voice.
        RequestError: the engine cannot speak with one.
    """
    voices = {name: find_voice(name) for name in names}
    if missing := [name for name, voice in voices.items() if voice is None]:
        raise NotFound(f"There is no voice {', '.join(map(repr, missing))}.")
    if not voices:
        return NO_SPEAKERS
    speakers = {name: replace(delivery, voice=voice) for name, voice in voices.items() if voice}
    return prepared_speakers(speakers, engine, delivery.sampling.seed)
