"""Tags: what is written about a sound into its file, in the form of each container.

They are named as in Vorbis comments; `id3`, `vorbis` and `riff` hold the names of the other containers.
"""

from collections.abc import Mapping
from typing import TypeAlias

Tags: TypeAlias = Mapping[str, str]

COMMENT, SOFTWARE, LYRICS = "COMMENT", "ENCODER", "LYRICS"
SOURCE_TYPE = "DIGITALSOURCETYPE"
"""The digital source type of IPTC, an address. Where a container has a place for XMP, it stands there too."""
