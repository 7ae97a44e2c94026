"""Options for the voice, the delivery, the output and the verbosity."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    start_buffer: options.StartBuffer = options.AUTO
    queue: options.InQueue = False
    max_wait: options.MaxWait = None

    @property
    def plays(self) -> bool:
        """Whether the speech is played: by default, unless it is written to a file."""
        return self.play if self.play is not None else not self.output

    @property
    def start_buffer_seconds(self) -> float | None:
        """Seconds of audio to wait for; None for as many as are needed."""
        return None if self.start_buffer == options.AUTO else float(self.start_buffer)

    def check(self, context: typer.Context) -> None:
        """Refuse a loudspeaker, and the queue for it, where nothing is played. Settings are ignored then."""
        for option in ("audio_device", "queue", "max_wait"):
            if not self.plays and options.on_command_line(context, option):
                name = f"--{option.replace('_', '-')}"
                raise typer.BadParameter(f"{name} has no effect without --play: with -o, nothing is played.")
        if not self.queue and options.on_command_line(context, "max_wait"):
            raise typer.BadParameter("--max-wait has no effect without --queue.")


Highlight = Annotated[
    bool,
    options.setting(
        "--highlight/--no-highlight",
        help="Show the text, with the sentence and the word that are to be heard.",
        show_default=False,
        rich_help_panel="Output",
    ),
]


@dataclass(frozen=True, slots=True)
class HighlightOptions:
    """Whether the text is shown while it is played."""

    highlight: Highlight = False


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


_VOICE = "Voice"

Recording = Annotated[
    Path | None,
    typer.Option(
        "--prompt",
        "--prompt-audio",
        "--ref-audio",
        "--reference-audio",
        metavar="CLIP",
        help="Recording of the voice: 5 to 30 s of clear speech.",
        rich_help_panel=_VOICE,
    ),
]
RecordSeconds = Annotated[
    float | None,
    typer.Option(
        "--record",
        metavar="SECONDS",
        min=3,
        max=60,
        help="Record the voice now, for 3 to 60 s.",
        rich_help_panel=_VOICE,
    ),
]
Microphone = Annotated[
    str | None,
    typer.Option(
        "--microphone",
        metavar="NAME",
        help="Microphone to record with, by name or number. Default: the system's default.",
        rich_help_panel=_VOICE,
    ),
]
Consent = Annotated[
    str | None,
    typer.Option(
        "--consent",
        metavar="TEXT",
        help="Who consented to the cloning; stored with the voice.",
        rich_help_panel=_VOICE,
    ),
]
Transcript = Annotated[
    str | None,
    typer.Option(
        "--prompt-text",
        "--ref-text",
        metavar="TEXT",
        help="Transcript of the recording. Default: the .txt file next to it, if it exists.",
        rich_help_panel=_VOICE,
    ),
]
TranscriptFile = Annotated[
    Path | None,
    typer.Option("--prompt-text-file", metavar="FILE", help="File with the transcript.", rich_help_panel=_VOICE),
]
NoTranscript = Annotated[
    bool,
    typer.Option(
        "--no-prompt-text",
        help="Save the voice without a transcript, and do not ask for one.",
        rich_help_panel=_VOICE,
    ),
]


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """A recording of a voice, existing or to be made, its transcript, its style and the consent to clone it."""

    recording: Recording = None
    record_seconds: RecordSeconds = None
    microphone: Microphone = None
    transcript: Transcript = None
    transcript_file: TranscriptFile = None
    no_transcript: NoTranscript = False
    instruct: options.Style = None
    consent: Consent = None
