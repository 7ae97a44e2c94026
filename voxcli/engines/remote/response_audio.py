"""Response decoder: the body of an HTTP response in, chunks of audio out."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx

from voxcli.audio.format import AudioFormat
from voxcli.audio.stream_decoding import Decoder, NotAudio, new_decoder
from voxcli.errors import RemoteCut, RemoteError, RequestError
from voxcli.protocols.dialect import AnswerForm, Framing
from voxcli.protocols.openai.events import EventFailure, EventReader
from voxcli.synthesis.request import Speech

_TEXT_STARTS = (b"{", b"[", b"<")
"""First bytes of JSON and HTML."""


def decode_response(
    pieces: Iterator[bytes],
    form: AnswerForm,
    url: str,
    explain: Callable[[bytes], str],
    on_bytes: Callable[[bytes], None] = lambda data: None,
) -> Speech:
    """Decode a body while it arrives. If it is cut off, what arrived is decoded before the error is raised.

    Args:
        pieces: the body, split anywhere.
        url: of the server, for messages.
        explain: extracts the message from a JSON or HTML document.
        on_bytes: called with each piece of the audio file before it is decoded.

    Raises:
        RemoteError: the body is not audio, or is audio that cannot be decoded.
        RemoteCut: it ends too early.
        httpx.HTTPError: the connection failed.
    """
    rate_is_unknown = form.format is AudioFormat.PCM and form.sample_rate is None
    decoder = new_decoder(None if rate_is_unknown else form.format, form.sample_rate)
    try:
        file = _read_events(pieces, url) if form.framing is Framing.SSE else pieces
        yield from _decode(_observed(file, on_bytes), decoder)
    except NotAudio as error:
        is_text = error.beginning.lstrip().startswith(_TEXT_STARTS)
        raise RemoteError(f"{url} sent no audio. {explain(error.beginning) if is_text else error}") from error
    except EventFailure as error:
        raise RemoteError(f"{url} failed during generation: {error}") from error
    except RequestError as error:  # raised by the decoder, about the response
        raise RemoteError(f"{url}: {error}") from error


def _decode(pieces: Iterator[bytes], decoder: Decoder) -> Speech:
    try:
        for data in pieces:
            yield from decoder.feed(data)
    except (httpx.HTTPError, RemoteCut, EventFailure):
        with suppress(NotAudio, RequestError):
            yield from decoder.finish()
        raise
    yield from decoder.finish()


def _observed(pieces: Iterator[bytes], on_bytes: Callable[[bytes], None]) -> Iterator[bytes]:
    for data in pieces:
        on_bytes(data)
        yield data


def _read_events(pieces: Iterator[bytes], url: str) -> Iterator[bytes]:
    """Extract the audio file from server-sent events."""
    reader = EventReader()
    for data in pieces:
        yield from reader.feed(data)
    if not reader.ended:
        raise RemoteCut(f"{url} closed the connection before the last event.")
