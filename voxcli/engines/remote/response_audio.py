"""From the body of an answer to chunks: what is sound is heard, and everything else is called by its name."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx

from voxcli.audio.format import AudioFormat
from voxcli.audio.stream_decoding import Decoder, NotAudio, new_decoder
from voxcli.errors import RemoteCut, RemoteError, RequestError
from voxcli.protocols.dialect import AnswerForm, Framing
from voxcli.protocols.openai.events import EventFailure, EventReader
from voxcli.synthesis.request import Speech

_WRITTEN = (b"{", b"[", b"<")
"""JSON and pages begin so."""


def heard(
    pieces: Iterator[bytes],
    form: AnswerForm,
    sender: str,
    explain: Callable[[bytes], str],
    on_bytes: Callable[[bytes], None] = lambda data: None,
) -> Speech:
    """Decode a body as it comes. If it breaks off, all that came is heard first.

    Args:
        pieces: the body, cut anywhere.
        sender: for words.
        explain: finds the sentence in a page or in JSON.
        on_bytes: is given every piece of the file in the body before it is decoded.

    Raises:
        RemoteError: it is no sound, or none that can be read.
        RemoteCut: it ends before its end.
        httpx.HTTPError: it breaks off.
    """
    raw_of_no_rate = form.format is AudioFormat.PCM and form.sample_rate is None
    decoder = new_decoder(None if raw_of_no_rate else form.format, form.sample_rate)
    try:
        file = _unwrapped(pieces, sender) if form.framing is Framing.SSE else pieces
        yield from _decoded(_watched(file, on_bytes), decoder)
    except NotAudio as error:
        written = error.beginning.lstrip().startswith(_WRITTEN)
        raise RemoteError(f"{sender} sends no sound. {explain(error.beginning) if written else error}") from error
    except EventFailure as error:
        raise RemoteError(f"{sender} breaks off: {error}") from error
    except RequestError as error:  # no fault of the request, but of what came
        raise RemoteError(f"{sender}: {error}") from error


def _decoded(pieces: Iterator[bytes], decoder: Decoder) -> Speech:
    try:
        for data in pieces:
            yield from decoder.feed(data)
    except (httpx.HTTPError, RemoteCut, EventFailure):
        with suppress(NotAudio, RequestError):
            yield from decoder.finish()
        raise
    yield from decoder.finish()


def _watched(pieces: Iterator[bytes], on_bytes: Callable[[bytes], None]) -> Iterator[bytes]:
    for data in pieces:
        on_bytes(data)
        yield data


def _unwrapped(pieces: Iterator[bytes], sender: str) -> Iterator[bytes]:
    """Take the file out of the events that carry it."""
    reader = EventReader()
    for data in pieces:
        yield from reader.feed(data)
    if not reader.ended:
        raise RemoteCut(f"{sender} broke off: its events end before the last one.")
