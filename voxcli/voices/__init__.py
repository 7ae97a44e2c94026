"""Named voices: a library on disk, and archives to share them."""

from voxcli.voices.description import Notes
from voxcli.voices.library import VoiceLibrary

__all__ = ["Notes", "VoiceLibrary"]
