"""Recordings for cloning: read or made, checked, combined with a transcript and saved as a voice."""

import math
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import typer

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.clip_quality import inspect, trimmed
from voxcli.audio.decode import decode
from voxcli.audio.format import MAX_BYTES
from voxcli.audio.headers import wav_bytes
from voxcli.audio.loudness import decibels, mean_power
from voxcli.cli.commands.voice_choice import check_new_name
from voxcli.cli.console import Console, ask, can_ask
from voxcli.cli.files import read_at_most, read_clip
from voxcli.cli.options.speech import RecordingOptions
from voxcli.cli.settings.files import voice_library
from voxcli.cli.text_source import TextDecoder
from voxcli.errors import RequestError
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.version import __version__
from voxcli.voices import Notes
from voxcli.voices.description import check_name, note_of_model

_MAX_TRANSCRIPT_BYTES = 1 << 16
"""Far longer than the transcript of the longest clip."""
_LOWEST_LEVEL_DBFS = -60.0
"""Lower end of the level bar."""


def find_transcript(given: RecordingOptions, console: Console, for_model: str | None = None) -> str | None:
    """Return the transcript: from its option, from a file, from the file next to the clip, or typed by the user.

    Args:
        for_model: a model that cannot imitate a clip without it.

    Raises:
        RequestError: the transcript cannot be read, or is empty.
    """
    ways = (given.transcript is not None, given.transcript_file is not None, given.no_transcript)
    if sum(ways) > 1:
        raise typer.BadParameter("Give the transcript in one way only.", param_hint="--prompt-text")
    if given.transcript is not None:
        return _not_empty(given.transcript, "--prompt-text")
    if given.transcript_file is not None:
        return _not_empty(_read(given.transcript_file), str(given.transcript_file))
    if given.no_transcript:
        return None
    clip = given.recording
    beside = clip and clip.with_suffix(".txt")
    if beside and beside != clip and beside.is_file() and (found := _read(beside)):
        console.note(f"Transcript from {beside}: {found} (--no-prompt-text ignores it)")
        return found
    if can_ask():
        question = f"What is said in {clip}?" if clip else "What will you say?"
        if for_model:
            return ask(console, f"{note_of_model(for_model)} needs the exact words. {question}") or None
        return ask(console, f"{question} Press Enter if you do not know:") or None
    return None


def ways_to_give_it(clip: Path | None) -> str:
    """Return how the transcript of a clip can be given, for messages."""
    ways = ["with --prompt-text TEXT", "with --prompt-text-file FILE"]
    if clip is None:
        return " or ".join(ways)
    return f"{', '.join(ways)}, or in {clip.with_suffix('.txt')}"


def _read(path: Path) -> str:
    data = read_at_most(path, _MAX_TRANSCRIPT_BYTES, "A transcript is a few lines long.")
    decoder = TextDecoder(str(path))
    return " ".join((decoder.decode(data) + decoder.decode(b"")).split())


def _not_empty(transcript: str, label: str) -> str:
    if not transcript.strip():
        raise RequestError(f"{label} is empty. Use --no-prompt-text if you do not know the transcript.")
    return transcript.strip()


def how_to_use(name: str) -> str:
    return f'Saved voice {name}. Use it with: voxcli say "..." --voice {shlex.quote(name)}'


def keep(
    name: str,
    given: RecordingOptions,
    console: Console,
    *,
    overwrite: bool,
    model: str | None = None,
    needs_transcript: bool = False,
) -> str:
    """Save a voice, and return its exact name.

    Args:
        model: the model that will speak with it.
        needs_transcript: that model cannot imitate a clip without its transcript.

    Raises:
        RequestError: the clip, its transcript or the name cannot be used; nothing is saved then.
        DeviceError: the microphone fails.
    """
    if overwrite:
        check_name(name)
    else:
        voice_library().check_free(name)
    check_new_name(name)
    consent = _one_line(given.consent)
    voice = build_voice(given, console, model if needs_transcript else None)
    return keep_voice(name, voice, console, overwrite=overwrite, consent=consent, model=model)


def keep_voice(
    name: str, voice: Voice, console: Console, *, overwrite: bool, consent: str | None = None, model: str | None = None
) -> str:
    """Save a voice, show how to use it, and return its exact name.

    Args:
        consent: who consented to the cloning.
        model: the model that the voice is for, or that generated it.

    Raises:
        RequestError: the name cannot be used.
    """
    noted = model and note_of_model(model)
    notes = Notes(consent=consent, created=date.today().isoformat(), voxcli=__version__, model=noted)
    check_new_name(name)
    kept = voice_library().save(name, voice, notes, overwrite=overwrite)
    console.note(how_to_use(kept))
    if voice.reference and not voice.prompt:
        console.note(
            "Without a transcript, only VoxCPM2 can imitate it. For VoxCPM-0.5B and 1.5, "
            "save it again with --force and --prompt-text TEXT, with --prompt-text-file FILE, "
            "or with the transcript in a .txt file next to the clip."
        )
    return kept


def build_voice(given: RecordingOptions, console: Console, for_model: str | None = None) -> Voice:
    """Read or make a recording, check it, and combine it with its transcript.

    Raises:
        RequestError: the recording is silent, or the transcript is missing or cannot be read.
        DeviceError: the microphone fails.
    """
    _check_recording(given)
    style = (given.instruct or "").strip() or None
    if given.recording:
        clip = _read_recording(given.recording, console)
        transcript = _find_transcript(given, console, for_model)
    elif given.record_seconds:
        # The transcript first, so that it is on the screen to be read aloud.
        transcript = _find_transcript(given, console, for_model)
        clip = _make_recording(given.record_seconds, given.microphone, console)
    else:
        return Voice(style=style)
    if transcript:
        return Voice(style=style, prompt=Prompt(clip, transcript))
    return Voice(style=style, reference=clip)


def check_clip(sound: AudioChunk, label: str, console: Console) -> None:
    """Warn about problems of a recording.

    Raises:
        RequestError: it is silent, or far too short.
    """
    report = inspect(sound)
    if report.silent:
        raise RequestError(f"{label} is silent. Check the microphone and record again.")
    if report.empty:
        raise RequestError(f"{label}: {report.remarks[0]}")
    for remark in report.remarks:
        console.warning(f"{label}: {remark}")


def _check_recording(given: RecordingOptions) -> None:
    """Refuse options that contradict each other or have no effect."""
    if given.recording and given.record_seconds:
        raise typer.BadParameter("Give --prompt or --record, not both.", param_hint="--record")
    if given.microphone and not given.record_seconds:
        raise typer.BadParameter("--microphone needs --record SECONDS, as in: --record 10", param_hint="--microphone")
    if given.recording or given.record_seconds:
        return
    if given.transcript or given.transcript_file:
        raise typer.BadParameter("A transcript was given without a recording.", param_hint="--prompt")
    if not (given.instruct or "").strip():
        raise typer.BadParameter(
            "Give a recording (--prompt), make one (--record), or describe the voice (--instruct).",
            param_hint="--prompt",
        )


def _read_recording(path: Path, console: Console) -> Clip:
    """Return the file, without the silence at its ends."""
    clip, label = read_clip(path), str(path)
    sound = decode(clip.data, name=label)
    piece = trimmed(sound)
    check_clip(piece, label, console)
    if piece is sound:
        return clip
    shorter = _to_clip(piece, path.stem)
    if len(shorter.data) > MAX_BYTES:  # five minutes at 192 kHz, once compressed
        return clip
    console.note(f"{label}: removed {sound.seconds - piece.seconds:.1f} s of silence at the ends.")
    return shorter


def _make_recording(seconds: float, microphone: str | None, console: Console) -> Clip:
    sound = trimmed(_record(seconds, microphone, console))
    check_clip(sound, "The recording", console)
    return _to_clip(sound, "recording")


def _to_clip(sound: AudioChunk, name: str) -> Clip:
    return Clip(wav_bytes(sound.samples, sound.sample_rate), f"{name}.wav")


def _find_transcript(given: RecordingOptions, console: Console, for_model: str | None) -> str | None:
    transcript = find_transcript(given, console, for_model)
    if transcript is None and for_model and not given.no_transcript:
        raise RequestError(
            f"{for_model} needs the transcript of a clip to imitate it. Give it {ways_to_give_it(given.recording)}. "
            "VoxCPM2 does not need it: to save the voice without a transcript, use --no-prompt-text."
        )
    return transcript


def _one_line(consent: str | None) -> str | None:
    if consent is None:
        return None
    if not (line := " ".join(consent.split())):
        raise typer.BadParameter("Say who consented, or omit --consent.", param_hint="--consent")
    return line


def _record(seconds: float, device: str | None, console: Console) -> AudioChunk:
    """Record with the microphone of this name or number, or with the default one.

    Raises:
        DeviceError: there is no microphone, or it fails.
    """
    from voxcli.devices.microphone import Microphone

    with Microphone(device) as microphone:
        console.note(f"recording {seconds:g} s: speak now")
        chunks = []
        with _shown_level(seconds, console) as show:
            for chunk in microphone.record(seconds):
                chunks.append(chunk.samples)
                show(chunk)
    console.note("recorded")
    if microphone.gaps:
        console.warning("The recording has gaps, because the machine was too busy.")
    return AudioChunk(np.concatenate(chunks), microphone.sample_rate)


@contextmanager
def _shown_level(seconds: float, console: Console) -> Iterator[Callable[[AudioChunk], None]]:
    """Show the remaining time, and the level as a bar, on a terminal."""
    if console.quiet or not console.is_terminal:
        yield lambda chunk: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    left = seconds
    columns = [TextColumn("{task.description}", markup=False), BarColumn()]
    with Progress(*columns, console=console.rich, transient=True) as progress:
        task = progress.add_task("", total=-_LOWEST_LEVEL_DBFS)

        def show(chunk: AudioChunk) -> None:
            nonlocal left
            left -= chunk.seconds
            progress.update(task, description=f"{math.ceil(left)} s left", completed=_level(chunk) - _LOWEST_LEVEL_DBFS)

        yield show


def _level(chunk: AudioChunk) -> float:
    """Return the level in dBFS, at least the lower end of the bar."""
    return float(decibels(mean_power(chunk.samples), _LOWEST_LEVEL_DBFS))
