"""The options that say who speaks and how, what becomes of it, and what is said about it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from voxcli.cli.options import common as options
from voxcli.cli.options import server as remote_options

if TYPE_CHECKING:
    from voxcli.synthesis.pipeline import Delivery
    from voxcli.synthesis.request import Sampling, Voice


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """Who speaks."""

    voice: options.VoiceName = None
    ref_audio: options.ReferenceClip = None
    ref_text: remote_options.RefText = None
    ref_lang: remote_options.RefLanguage = None
    prompt_audio: options.PromptClip = None
    prompt_text: options.PromptText = None
    instruct: options.Style = None
    denoise: options.Denoise = False


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How it is spoken."""

    language: options.Language = None
    speed: options.Speed = 1.0
    volume: options.Volume = 1.0
    normalize: options.Normalize = False

    def to_settings(self, voice: "Voice", sampling: "Sampling") -> "Delivery":
        """Return the manner in which a text is spoken."""
        from voxcli.synthesis.pipeline import Delivery

        return Delivery(
            voice=voice,
            sampling=sampling,
            language=self.language,
            speed=self.speed,
            volume=self.volume,
            normalize=self.normalize,
        )


@dataclass(frozen=True, slots=True)
class DeliveryOptions(ReadingOptions):
    """How a text of many sentences is spoken."""

    gap: options.Gap = None

    def to_settings(
        self, voice: "Voice", sampling: "Sampling", *, denoise: bool = False, split: bool = True
    ) -> "Delivery":
        """Return the manner in which a text is spoken. A text that is not split has no gaps."""
        plain = ReadingOptions.to_settings(self, voice, sampling)
        return replace(plain, denoise=denoise, gap_seconds=self.gap if split else None)

    def check_gap(self, context: typer.Context, *, no_split: bool) -> None:
        """Refuse a gap that has no place. A gap in the settings is meant for texts that have one."""
        if no_split and options.on_command_line(context, "gap"):
            raise typer.BadParameter("With --no-split there are no sentences to put a gap between.", param_hint="--gap")


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where it goes."""

    output: options.Outputs = None
    format: options.Format = None
    force: options.Force = False
    play: options.Play = None
    audio_device: options.AudioDevice = None


@dataclass(frozen=True, slots=True)
class OutputVerbosity:
    """What is said about it."""

    quiet: options.Quiet = False
    verbose: options.Verbose = False
    json: options.Events = False


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
