"""The options that describe a voice to be kept."""

from dataclasses import dataclass

from voxcli.cli import options


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """A recording, the words in it, and how they are spoken."""

    recording: options.Recording = None
    transcript: options.RecordedWords = None
    transcript_file: options.RecordedWordsFile = None
    no_transcript: options.NoRecordedWords = False
    instruct: options.Style = None
