"""Response decoder: the body of an HTTP response in, chunks of audio out."""

import json
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress

import httpx

from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import read_floats
from voxcli.audio.stream_decoding import Decoder, NotAudio, new_decoder
from voxcli.audio.stream_decoding.sniff import is_text
from voxcli.errors import RemoteCut, RemoteError, RequestError
from voxcli.protocols.dialect import AnswerForm, Framing
from voxcli.protocols.openai.errors import error_message, find_message
from voxcli.protocols.openai.events import EventFailure, EventReader
from voxcli.synthesis.request import Speech

_TEXT_STARTS = (b"{", b"[", b"<")
"""First bytes of JSON and HTML."""
_DOCUMENT_START = re.compile(
    rb'(?:\s|data:|event:[^\r\n]{0,40}\r?\n)*\{\s*(?:"|\Z)|d(?:a(?:t(?:a(?::\s*)?)?)?)?\Z|<(?:!doctype |html)',
    re.IGNORECASE,
)
"""Of a JSON object, with or without the lines of an event, or of a page; or what may become one."""
_BEFORE_JSON = re.compile(rb"(?:\s|data:|event:[^\r\n]*\r?\n)*")
_BAD_GATEWAY = 502
"""Of a proxy that appends its page."""
_LONGEST_ERROR = 1 << 16
"""Bytes. Longer text behind audio is passed on as audio."""
_SSE_RATE = 24000
"""Hz. Of samples in events that do not say any, as in OpenAI's API."""


def decode_response(
    pieces: Iterator[bytes],
    form: AnswerForm,
    url: str,
    explain: Callable[[bytes], str],
    on_bytes: Callable[[bytes], None] = lambda data: None,
    on_guessed_rate: Callable[[int], None] = lambda rate: None,
) -> Speech:
    """Decode a body while it arrives. If it is cut off, what arrived is decoded before the error is raised.

    Args:
        pieces: the body, split anywhere.
        url: of the server, for messages.
        explain: extracts the message from a JSON or HTML document.
        on_bytes: called with each piece of the audio file before it is decoded.
        on_guessed_rate: called with the rate (Hz) of samples for which the server says none.

    Raises:
        RemoteError: the body is not audio, or is audio that cannot be decoded.
        RemoteCut: it ends too early.
        httpx.HTTPError: the connection failed.
    """
    if form.floats and form.sample_rate:  # of our own servers, which never append an error
        yield from read_floats(_observed(pieces, on_bytes), form.sample_rate)
        return
    try:
        if form.framing is Framing.SSE:
            reader = EventReader()
            file = _read_events(pieces, reader, url)
        else:
            reader, file = None, _without_error(pieces)
        yield from _decode(_observed(file, on_bytes), form, reader, on_guessed_rate)
    except NotAudio as error:
        is_document = error.beginning.lstrip().startswith(_TEXT_STARTS)
        raise RemoteError(f"{url} sent no audio. {explain(error.beginning) if is_document else error}") from error
    except EventFailure as error:
        raise RemoteError(f"{url} failed during generation: {error}") from error
    except RequestError as error:  # raised by the decoder, about the response
        raise RemoteError(f"{url}: {error}") from error


def _decode(
    pieces: Iterator[bytes], form: AnswerForm, reader: EventReader | None, on_guessed_rate: Callable[[int], None]
) -> Speech:
    decoder: Decoder | None = None
    told = False
    try:
        for data in pieces:
            decoder = decoder or _new_decoder(form, reader)
            for chunk in decoder.feed(data):
                if not told and decoder.format is AudioFormat.PCM and _is_guessed(form, reader):
                    on_guessed_rate(chunk.sample_rate)
                told = True
                yield chunk
    except (httpx.HTTPError, RemoteCut, EventFailure):
        with suppress(NotAudio, RequestError):
            yield from (decoder or _new_decoder(form, reader)).finish()
        raise
    yield from (decoder or _new_decoder(form, reader)).finish()


def _new_decoder(form: AnswerForm, reader: EventReader | None) -> Decoder:
    rate = (reader.sample_rate if reader else None) or form.sample_rate
    if reader:  # whatever format was asked for, some servers put raw samples into their events
        return new_decoder(AudioFormat.PCM, rate or _SSE_RATE, form.channels)
    return new_decoder(None if form.format is AudioFormat.PCM and rate is None else form.format, rate, form.channels)


def _is_guessed(form: AnswerForm, reader: EventReader | None) -> bool:
    return (form.rate_is_guessed or form.sample_rate is None) and not (reader and reader.sample_rate)


def _observed(pieces: Iterator[bytes], on_bytes: Callable[[bytes], None]) -> Generator[bytes]:
    for data in pieces:
        on_bytes(data)
        yield data


def _without_error(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pass a body on, and raise EventFailure if it ends with a JSON object that reports an error, or with a page.

    Servers append one when they fail after the headers have been sent. Bytes that look like the start of one are held
    back until the rest shows what they are: mostly no time at all, since they are followed by bytes that no text has.
    """
    held, sent = b"", False
    for data in pieces:
        held += data
        start = _find_text_start(held)
        if start:
            yield held[:start]
            held, sent = held[start:], True
        if len(held) > _LONGEST_ERROR:
            yield held
            held, sent = b"", True
    if sent and (message := _message_in(held)):
        raise EventFailure(message)
    if held:
        yield held


def _find_text_start(data: bytes) -> int:
    """Return where a document begins that goes on to the end of the data; their length if there is none."""
    for found in _DOCUMENT_START.finditer(data):
        if is_text(data[found.start() :]):
            return found.start()
    return len(data)


def _message_in(data: bytes) -> str | None:
    if data.startswith(b"<"):
        return error_message(_BAD_GATEWAY, data)
    try:
        value = json.loads(data[_BEFORE_JSON.match(data).end() :])  # type: ignore[union-attr]
    except (ValueError, RecursionError):
        return None
    return find_message(value) if isinstance(value, dict) else None


def _read_events(pieces: Iterator[bytes], reader: EventReader, url: str) -> Iterator[bytes]:
    """Extract the audio file from server-sent events."""
    for data in pieces:
        yield from reader.feed(data)
    if not reader.ended:
        raise RemoteCut(f"{url} closed the connection before the last event.")
