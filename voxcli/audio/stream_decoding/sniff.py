"""Format detection by the first bytes of a response, whatever its content type says."""

import codecs

from voxcli.audio.format import AudioFormat
from voxcli.audio.stream_decoding.byte_buffer import ByteBuffer, Reading
from voxcli.audio.stream_decoding.mpeg_headers import adts_length, id3_length, mp3_length

_START = 12
"""Bytes. Every format is recognised by then."""
_TEXT_SAMPLE = 256
"""Bytes. Audio would be taken for text only if all of them were UTF-8 without a control character."""
_KEPT = 4096
"""Bytes of a response that is not audio, kept so that an error message can be read from them."""
_SHOWN = 200


class NotAudio(ValueError):
    """The response is not audio but a page, a JSON error or something unknown. No samples were yielded."""

    def __init__(self, message: str, beginning: bytes) -> None:
        super().__init__(message)
        self.beginning = beginning
        """The first 4 KiB, or all of it."""


def recognised(buffer: ByteBuffer, hint: AudioFormat | None) -> Reading[AudioFormat]:
    """Return the format of the bytes, OPUS for anything in Ogg; an ID3 tag before it is skipped.

    Raises:
        NotAudio: it is text, it is empty, or its format is unknown and `hint` is not PCM.
    """
    while tag := id3_length((yield from buffer.peek(_START))):
        yield from buffer.skip(tag)
    start = yield from buffer.peek(_START)
    match start[:4]:
        case b"RIFF" | b"RF64" if start[8:] == b"WAVE":
            return AudioFormat.WAV
        case b"OggS":
            return AudioFormat.OPUS
        case b"fLaC":
            return AudioFormat.FLAC
    for format, length_of in ((AudioFormat.MP3, mp3_length), (AudioFormat.AAC, adts_length)):
        # Raw samples may look like one header by chance, but not like two at the right distance.
        if (length := length_of(start)) and (
            hint is not AudioFormat.PCM or length_of((yield from buffer.peek(_START, length)))
        ):
            return format
    sample = yield from buffer.peek(_TEXT_SAMPLE)
    if hint is AudioFormat.PCM and sample and not is_text(sample):
        return AudioFormat.PCM
    raise _not_audio((yield from buffer.peek(_KEPT)))


def is_text(data: bytes) -> bool:
    """Whether this is the start of UTF-8 text, or of HTML, XML or JSON in any encoding."""
    if any(byte < 9 or 13 < byte < 32 for byte in data):
        return False
    if data.lstrip().startswith((b"<", b"{", b"[")):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)  # accepts a character that is cut in two
    except UnicodeDecodeError:
        return False
    return True


def _not_audio(beginning: bytes) -> NotAudio:
    if not beginning:
        return NotAudio("The response is empty.", beginning)
    if not is_text(beginning):
        start = beginning[:16].hex(" ")
        return NotAudio(f"The response is not audio in a known format. It starts with {start}.", beginning)
    words = " ".join(beginning.decode("utf-8", "replace").split())
    return NotAudio(f"The response is text, not audio: {words[:_SHOWN]}{'…' if len(words) > _SHOWN else ''}", beginning)
