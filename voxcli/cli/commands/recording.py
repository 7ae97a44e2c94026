"""From a recording to a voice in the library: read or made, judged, joined with its words, kept."""

import shlex
from datetime import date
from pathlib import Path

import typer

import voxcli
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.clip_quality import inspect, trimmed
from voxcli.audio.decode import MAX_BYTES, decode
from voxcli.audio.headers import growing_header
from voxcli.audio.pcm import to_int16
from voxcli.cli.console import Console, ask, can_ask
from voxcli.cli.files import read_at_most, read_clip
from voxcli.cli.options.speech import RecordingOptions
from voxcli.cli.settings.files import voice_library
from voxcli.cli.text_source import TextDecoder
from voxcli.errors import RequestError
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import Notes
from voxcli.voices.description import note_of_model
from voxcli.voices.names import check_name

_MOST_BYTES = 1 << 16
"""Far more than anybody says in the longest clip."""


def find_transcript(given: RecordingOptions, console: Console) -> str | None:
    """Take the words from the option, from its file, from the file beside the clip, or ask for them.

    Raises:
        RequestError: they cannot be read, or are empty.
    """
    ways = (given.transcript is not None, given.transcript_file is not None, given.no_transcript)
    if sum(ways) > 1:
        raise typer.BadParameter("Say in one way only what the words are.", param_hint="--prompt-text")
    if given.transcript is not None:
        return _not_empty(given.transcript, "--prompt-text")
    if given.transcript_file is not None:
        return _not_empty(_read(given.transcript_file), str(given.transcript_file))
    if given.no_transcript:
        return None
    clip = given.recording
    beside = clip and clip.with_suffix(".txt")
    if beside and beside != clip and beside.is_file() and (found := _read(beside)):
        console.note(f"The words are taken from {beside}: {found} (--no-prompt-text leaves them out)")
        return found
    if can_ask():
        question = f"What is said in {clip}?" if clip else "What will you say?"
        return ask(console, f"{question} Enter if you do not know:") or None
    return None


def ways_to_give_it(clip: Path | None) -> str:
    """Say where the words of a clip can be given."""
    ways = ["with --prompt-text TEXT", "with --prompt-text-file FILE"]
    if clip is None:
        return " or ".join(ways)
    return f"{', '.join(ways)}, or in {clip.with_suffix('.txt')} beside it"


def _read(path: Path) -> str:
    data = read_at_most(path, _MOST_BYTES, "The words of a clip are a few lines.")
    decoder = TextDecoder(str(path))
    return " ".join((decoder.decode(data) + decoder.decode(b"")).split())


def _not_empty(transcript: str, label: str) -> str:
    if not transcript.strip():
        raise RequestError(f"{label} is empty: there are no words in it. Use --no-prompt-text if you do not know them.")
    return transcript.strip()


def how_to_use(name: str) -> str:
    return f'The voice {name} is kept. Use it with: voxcli say "..." --voice {shlex.quote(name)}'


def keep(
    name: str,
    given: RecordingOptions,
    console: Console,
    *,
    overwrite: bool,
    model: str | None = None,
    needs_words: bool = False,
) -> str:
    """Keep a voice, and return its name as it is written in the library.

    Args:
        model: that is to speak with it.
        needs_words: that model imitates no clip without its words.

    Raises:
        RequestError: the clip, its words or the name cannot be used; nothing was kept.
        DeviceError: the microphone fails.
    """
    if overwrite:
        check_name(name)
    else:
        voice_library().check_free(name)
    consent = _one_line(given.consent)
    voice = build_voice(given, console, model if needs_words else None)
    return keep_voice(name, voice, console, overwrite=overwrite, consent=consent, model=model)


def keep_voice(
    name: str, voice: Voice, console: Console, *, overwrite: bool, consent: str | None = None, model: str | None = None
) -> str:
    """Save a voice, say how it is used, and return its name as it is written in the library.

    Args:
        consent: who allowed it.
        model: which it is made for, or was drawn by.

    Raises:
        RequestError: the name cannot be used.
    """
    noted = model and note_of_model(model)
    notes = Notes(consent=consent, created=date.today().isoformat(), voxcli=voxcli.__version__, model=noted)
    kept = voice_library().save(name, voice, notes, overwrite=overwrite)
    console.note(how_to_use(kept))
    if voice.reference and not voice.prompt:
        console.note(
            "Its words are not known, so of the VoxCPM models only VoxCPM2 can imitate it. For VoxCPM-0.5B and 1.5, "
            "keep it again with --force and --prompt-text TEXT, with --prompt-text-file FILE, "
            "or with the words in a .txt file beside the clip."
        )
    return kept


def build_voice(given: RecordingOptions, console: Console, for_model: str | None = None) -> Voice:
    """Read or make a recording, judge it and join it with its words.

    Raises:
        RequestError: there is no voice in it, or the words cannot be read, or are missing.
        DeviceError: the microphone fails.
    """
    _check_recording(given)
    style = (given.instruct or "").strip() or None
    if given.recording:
        clip = _read_recording(given.recording, console)
        transcript = _find_transcript(given, console, for_model)
    elif given.record_seconds:
        # First the words, which then stand on the screen to be read aloud.
        transcript = _find_transcript(given, console, for_model)
        clip = _make_recording(given.record_seconds, given.microphone, console)
    else:
        return Voice(style=style)
    if transcript:
        return Voice(style=style, prompt=Prompt(clip, transcript))
    return Voice(style=style, reference=clip)


def judge(sound: AudioChunk, label: str, console: Console) -> None:
    """Warn of what is wrong with a recording.

    Raises:
        RequestError: nobody can be imitated after it.
    """
    report = inspect(sound)
    if report.silent:
        raise RequestError(f"{label} is silent: there is no voice in it. Check the microphone and record again.")
    for remark in report.remarks:
        console.warning(f"{label}: {remark}")


def _check_recording(given: RecordingOptions) -> None:
    """Refuse what does not go together, or would have no effect."""
    if given.recording and given.record_seconds:
        raise typer.BadParameter("Give a recording or make one, not both.", param_hint="--record")
    if given.microphone and not given.record_seconds:
        raise typer.BadParameter("Say how long to record, as in: --record 10", param_hint="--microphone")
    if given.recording or given.record_seconds:
        return
    if given.transcript or given.transcript_file:
        raise typer.BadParameter("There are words but no clip that says them.", param_hint="--prompt")
    if not (given.instruct or "").strip():
        raise typer.BadParameter(
            "Give a recording, or make one (--record), or a description (--instruct).", param_hint="--prompt"
        )


def _read_recording(path: Path, console: Console) -> Clip:
    """Return the file as it is, or what is left of it without the silence at its ends."""
    clip, label = read_clip(path), str(path)
    sound = decode(clip.data, name=label)
    piece = trimmed(sound)
    judge(piece, label, console)
    if piece is sound:
        return clip
    shorter = _to_clip(piece, path.stem)
    if len(shorter.data) > MAX_BYTES:  # five minutes at 192 kHz, once compressed
        return clip
    console.note(f"{label}: {sound.seconds - piece.seconds:.1f} s of silence at its ends are left out.")
    return shorter


def _make_recording(seconds: float, microphone: str | None, console: Console) -> Clip:
    from voxcli.cli.commands.microphone import record

    sound = trimmed(record(seconds, microphone, console))
    judge(sound, "The recording", console)
    return _to_clip(sound, "recording")


def _to_clip(sound: AudioChunk, name: str) -> Clip:
    data = to_int16(sound.samples)
    return Clip(growing_header(sound.sample_rate, len(data)) + data, f"{name}.wav")


def _find_transcript(given: RecordingOptions, console: Console, for_model: str | None) -> str | None:
    transcript = find_transcript(given, console)
    if transcript is None and for_model and not given.no_transcript:
        raise RequestError(
            f"{for_model} needs the words of a clip to imitate it. Give them {ways_to_give_it(given.recording)}. "
            "VoxCPM2 needs no words: to keep the voice without them, use --no-prompt-text."
        )
    return transcript


def _one_line(consent: str | None) -> str | None:
    if consent is None:
        return None
    if not (line := " ".join(consent.split())):
        raise typer.BadParameter("Say who allowed it, or leave this out.", param_hint="--consent")
    return line
