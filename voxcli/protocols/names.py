"""Names of the protocols and of the audio formats on the wire.

A module of its own because `voxcli --help` lists these names and must load nothing else of the protocols.
"""

from enum import StrEnum

from voxcli.audio.format import AudioFormat


class Dialect(StrEnum):
    """The protocols that voxcli supports, by the names that users give them."""

    VOXCPM = "voxcpm"
    OPENAI = "openai"
    GPT_SOVITS = "gpt-sovits"
    REALTIME = "realtime"
    """OpenAI's Realtime API, which is not detected."""


AUTO = "auto"
"""Find out which protocol a server speaks."""
PROTOCOLS = tuple(dialect.value for dialect in Dialect)
WIRE_FORMATS = tuple(format.value for format in AudioFormat)
