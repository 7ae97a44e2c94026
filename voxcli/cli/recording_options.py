"""The options that describe a voice to be kept."""

from dataclasses import dataclass

from voxcli.cli import options


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """A recording or how to make it, the words in it, how they are spoken, and who allowed it."""

    recording: options.Recording = None
    record_seconds: options.RecordSeconds = None
    microphone: options.Microphone = None
    transcript: options.RecordedWords = None
    transcript_file: options.RecordedWordsFile = None
    no_transcript: options.NoRecordedWords = False
    instruct: options.Style = None
    consent: options.Consent = None
