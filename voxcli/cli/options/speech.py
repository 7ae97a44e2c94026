"""The options that say who speaks and how, what becomes of it, and what is said about it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from voxcli.cli.options import common as options
from voxcli.cli.options import server as remote_options

if TYPE_CHECKING:
    from voxcli.sinks import Target
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

    def find(self, context: typer.Context) -> "Voice":
        """Return who shall speak. A voice of the user's own comes before one that the engine knows by that name.

        A clip on the command line counts more than the name of a voice in the settings.
        """
        from voxcli.cli.settings.files import voice_library
        from voxcli.synthesis.request import Prompt, Voice

        prompt, words = self.prompt_audio, self.prompt_text
        if bool(prompt) != bool(words and words.strip()):
            raise typer.BadParameter("--prompt-audio and --prompt-text go together.", param_hint="--prompt-text")
        clip_given = bool(self.ref_audio or prompt)
        if clip_given and on_command_line(context, "voice"):
            raise typer.BadParameter("Give the name of a voice or a clip, not both.", param_hint="--voice")
        if self.voice and not clip_given:
            own = voice_library().find(self.voice) or Voice(name=self.voice)
            return replace(own, style=self.instruct or own.style)
        if not clip_given:
            if self.denoise:
                raise typer.BadParameter("There is no recording to take the noise out of.", param_hint="--denoise")
            return Voice(style=self.instruct)
        from voxcli.cli.files import read_clip  # loads the decoders, which are slow to load

        return Voice(
            style=self.instruct,
            reference=read_clip(self.ref_audio) if self.ref_audio else None,
            prompt=Prompt(read_clip(prompt), words) if prompt and words else None,
        )


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
        if no_split and on_command_line(context, "gap"):
            raise typer.BadParameter("With --no-split there are no sentences to put a gap between.", param_hint="--gap")


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where it goes."""

    output: options.Outputs = None
    format: options.Format = None
    force: options.Force = False
    play: options.Play = None
    audio_device: options.AudioDevice = None

    def targets(self) -> "list[Target]":
        from voxcli.cli.commands.targets import choose_targets

        return choose_targets(self.output or [], self.format, self.force, self.play, self.audio_device)


@dataclass(frozen=True, slots=True)
class MannersOptions:
    """What is said about it."""

    quiet: options.Quiet = False
    verbose: options.Verbose = False
    json: options.Events = False


def on_command_line(context: typer.Context, option: str) -> bool:
    """Tell whether it was given there, and not in the environment or the settings."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


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
