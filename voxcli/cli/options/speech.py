"""Options for the voice, the delivery, the output and the verbosity."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from voxcli.cli.options import parameters as options
from voxcli.cli.options import server as remote_options

if TYPE_CHECKING:
    from voxcli.synthesis.pipeline import Delivery
    from voxcli.synthesis.request import Sampling, Voice


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """The voice to speak with."""

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
    """How a text is spoken."""

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
    """How a text of several sentences is spoken."""

    gap: options.Gap = None

    def to_settings(
        self, voice: "Voice", sampling: "Sampling", *, denoise: bool = False, split: bool = True
    ) -> "Delivery":
        """Return the manner in which a text is spoken. A text that is not split has no gaps."""
        plain = ReadingOptions.to_settings(self, voice, sampling)
        return replace(plain, denoise=denoise, gap_seconds=self.gap if split else None)

    def check_gap(self, context: typer.Context, *, no_split: bool) -> None:
        """Refuse --gap together with --no-split. A gap in the settings files is ignored then."""
        if no_split and options.on_command_line(context, "gap"):
            raise typer.BadParameter(
                "--gap has no effect with --no-split: the text is not split into sentences.", param_hint="--gap"
            )


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The outputs of the speech."""

    output: options.Outputs = None
    format: options.Format = None
    force: options.Force = False
    play: options.Play = None
    audio_device: options.AudioDevice = None
    start_buffer: options.StartBuffer = None

    @property
    def plays(self) -> bool:
        """Whether the speech is played: by default, unless it is written to a file."""
        return self.play if self.play is not None else not self.output

    def check(self, context: typer.Context) -> None:
        """Refuse a loudspeaker where nothing is played. One in the settings files is ignored then."""
        if not self.plays and options.on_command_line(context, "audio_device"):
            raise typer.BadParameter("--audio-device has no effect without --play: with -o, nothing is played.")


@dataclass(frozen=True, slots=True)
class OutputVerbosity:
    """How much is reported, and in which form."""

    quiet: options.Quiet = False
    verbose: options.Verbose = False
    json: options.Events = False

    def check(self, context: typer.Context) -> None:
        """Refuse --quiet together with --verbose. A setting gives way to an option."""
        if all(options.on_command_line(context, name) for name in ("quiet", "verbose")):
            raise typer.BadParameter("--quiet contradicts --verbose. Give one of them.")


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """A recording of a voice, existing or to be made, its transcript, its style and the consent to clone it."""

    recording: options.Recording = None
    record_seconds: options.RecordSeconds = None
    microphone: options.Microphone = None
    transcript: options.Transcript = None
    transcript_file: options.TranscriptFile = None
    no_transcript: options.NoTranscript = False
    instruct: options.Style = None
    consent: options.Consent = None
