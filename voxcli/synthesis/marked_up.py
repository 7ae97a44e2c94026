"""Texts that are marked up or name voices: SSML, and `[voice:name]` as for Kokoro-FastAPI."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from voxcli.errors import NotFound, RequestError
from voxcli.synthesis.pipeline import NO_SPEAKERS, Delivery, Speakers, prepared_speakers
from voxcli.synthesis.request import FASTEST, SLOWEST, Engine, Voice
from voxcli.text.marks import MannerChange
from voxcli.text.parts import TextPiece
from voxcli.text.script import ScriptNames, ScriptReader, read_script
from voxcli.text.ssml import is_ssml
from voxcli.text.ssml.reader import read_ssml


class MarkedUpText(NamedTuple):
    """A text as it is read, and the voices that it names."""

    pieces: Iterable[TextPiece]
    """To be read once."""
    voices: tuple[str, ...] = ()


def read_marked_up(text: str, *, speed: float = 1.0) -> MarkedUpText:
    """Return a complete text as it is read; one without markup as it is.

    Args:
        speed: at which the text is spoken, and which its markup changes.

    Raises:
        RequestError: it is SSML that cannot be spoken.
    """
    if is_ssml(text):
        pieces, voices = read_ssml(text)
        check_speeds(pieces, speed)
        return MarkedUpText(pieces, voices)
    if "[voice:" not in text.lower():
        return MarkedUpText([text])
    names = ScriptNames(speakers={}, lines=False, any_voice=True)
    return MarkedUpText(ScriptReader(names).pieces([text]), tuple(read_script(text, names)[0]))


def check_speeds(pieces: Iterable[TextPiece], speed: float) -> None:
    """Check that no part of a text is spoken faster or slower than speech can be.

    Raises:
        RequestError: some part is.
    """
    for piece in pieces:
        if isinstance(piece, MannerChange) and not SLOWEST <= (made := speed * piece.manner.speed) <= FASTEST:
            raise RequestError(
                f"The SSML asks for a part {piece.manner.speed:g} times as fast, and the speed is {speed:g}: "
                f"together {made:g}, outside {SLOWEST:g} to {FASTEST:g}."
            )


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
