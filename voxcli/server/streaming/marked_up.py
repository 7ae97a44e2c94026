"""Texts of requests that name voices, or are marked up: SSML, and `[voice:name]` as for Kokoro-FastAPI."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from voxcli.errors import NotFound
from voxcli.synthesis.pipeline import Delivery, Speakers, prepared_speakers
from voxcli.synthesis.request import Engine, Voice
from voxcli.text.parts import TextPiece
from voxcli.text.script import ScriptNames, ScriptReader, read_script
from voxcli.text.ssml import is_ssml
from voxcli.text.ssml.reader import read_ssml


def open_text(
    text: str, delivery: Delivery, engine: Engine, find_voice: Callable[[str], Voice | None]
) -> tuple[Iterable[TextPiece], Speakers]:
    """Return a text as it is read, and its speakers besides the voice of the request.

    Args:
        find_voice: finds a voice that the text names. May read files.

    Raises:
        RequestError: it is SSML that cannot be spoken, or the engine cannot speak with a voice.
        NotFound: there is no such voice.
    """
    pieces: Iterable[TextPiece] = [text]
    names: Iterable[str] = ()
    if is_ssml(text):
        pieces, names = read_ssml(text)
    elif "[voice:" in text.lower():
        any_voice = ScriptNames(speakers={}, lines=False, any_voice=True)
        pieces, names = ScriptReader(any_voice).pieces([text]), read_script(text, any_voice)[0]
    voices = {name: find_voice(name) for name in names}
    if missing := [name for name, voice in voices.items() if voice is None]:
        raise NotFound(f"There is no voice {', '.join(map(repr, missing))}.")
    speakers = {name: replace(delivery, voice=voice) for name, voice in voices.items() if voice}
    return pieces, prepared_speakers(speakers, engine, delivery.sampling.seed)
