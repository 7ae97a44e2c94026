"""Named voices on disk, and as single files to pass on."""

from voxcli.voices.description import Notes
from voxcli.voices.library import VoiceLibrary

__all__ = ["Notes", "VoiceLibrary"]
