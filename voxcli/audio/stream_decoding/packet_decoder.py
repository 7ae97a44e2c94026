"""Packet decoder: compressed packets to samples, with FFmpeg's decoders."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Literal, TypeAlias

import av

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.frame import samples_of
from voxcli.errors import RequestError

Codec: TypeAlias = Literal["mp3float", "aac", "flac", "libopus", "vorbis"]


class PacketDecoder:
    """Decodes the packets that our own parsers have found, with one decoder selected by name.

    No other part of FFmpeg sees the bytes: no probing, no demuxers, nothing that follows references in them.
    """

    def __init__(self, codec: Codec, setup: bytes | None = None, options: Mapping[str, str] | None = None) -> None:
        """Raises RequestError if the codec's setup data, from the container's header, is invalid."""
        try:
            context = av.CodecContext.create(codec, "r")
            assert isinstance(context, av.AudioCodecContext)
            context.thread_count = 1
            context.extradata = setup
            context.options = dict(options or {})
            context.open()
        except (av.error.FFmpegError, ValueError) as error:  # ValueError: built without this codec
            raise RequestError(
                f"The received audio cannot be decoded ({codec}: {error}). Ask for another format, such as wav."
            ) from error
        self._context = context

    def decode(self, packet: bytes) -> Iterator[AudioChunk]:
        """Yield the samples of a packet; nothing if it is damaged."""
        with suppress(av.error.FFmpegError):
            for frame in self._context.decode(av.Packet(packet)):
                yield AudioChunk(samples_of(frame), frame.sample_rate)
