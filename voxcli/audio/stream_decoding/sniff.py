"""What kind of sound the first bytes of an answer announce, whatever its headers say."""

import codecs

from voxcli.audio.format import AudioFormat
from voxcli.audio.stream_decoding.byte_buffer import Inbox, Waiting
from voxcli.audio.stream_decoding.mpeg_headers import adts_length, id3_length, mp3_length

_START = 12
"""Bytes after which everything has shown itself."""
_TEXT_SAMPLE = 256
"""Sound that is mistaken for text has this many bytes without one control character, and all of them UTF-8."""
_KEPT = 4096
"""Bytes of an answer that is no sound, for whoever reads an error out of them."""
_SHOWN = 200


class NotSound(ValueError):
    """What came is no sound, but a page, an error in JSON, or something unknown. Nothing of it was passed on."""

    def __init__(self, message: str, beginning: bytes) -> None:
        super().__init__(message)
        self.beginning = beginning
        """Up to 4 KiB, or all there was."""


def recognised(inbox: Inbox, hint: AudioFormat | None) -> Waiting[AudioFormat]:
    """Return how the bytes are to be read, OPUS for anything in Ogg; an ID3 tag in front is taken out.

    Raises:
        NotSound: it is text, it is nothing, or it is not known here and `hint` is not PCM.
    """
    while tag := id3_length((yield from inbox.peek(_START))):
        yield from inbox.skip(tag)
    start = yield from inbox.peek(_START)
    match start[:4]:
        case b"RIFF" | b"RF64" if start[8:] == b"WAVE":
            return AudioFormat.WAV
        case b"OggS":
            return AudioFormat.OPUS
        case b"fLaC":
            return AudioFormat.FLAC
    for format, length_of in ((AudioFormat.MP3, mp3_length), (AudioFormat.AAC, adts_length)):
        # Samples, too, may look like one header; like two at the right distance they do not.
        if (length := length_of(start)) and (
            hint is not AudioFormat.PCM or length_of((yield from inbox.peek(_START, length)))
        ):
            return format
    sample = yield from inbox.peek(_TEXT_SAMPLE)
    if hint is AudioFormat.PCM and sample and not is_text(sample):
        return AudioFormat.PCM
    raise _not_sound((yield from inbox.peek(_KEPT)))


def is_text(data: bytes) -> bool:
    """Is this the beginning of a text in UTF-8, or of a page or of JSON in whatever encoding?"""
    if any(byte < 9 or 13 < byte < 32 for byte in data):
        return False
    if data.lstrip().startswith((b"<", b"{", b"[")):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)  # which does not mind a character cut in two
    except UnicodeDecodeError:
        return False
    return True


def _not_sound(beginning: bytes) -> NotSound:
    if not beginning:
        return NotSound("The answer is empty.", beginning)
    if not is_text(beginning):
        start = beginning[:16].hex(" ")
        return NotSound(f"The answer is no sound of a kind known here. It starts with {start}.", beginning)
    words = " ".join(beginning.decode("utf-8", "replace").split())
    return NotSound(f"The answer is text, not sound: {words[:_SHOWN]}{'…' if len(words) > _SHOWN else ''}", beginning)
