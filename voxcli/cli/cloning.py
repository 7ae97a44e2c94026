"""From a recording to a voice in the library: read, judged, joined with its words, kept."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.audio.inspect import inspect
from voxcli.cli.asking import ask, can_ask
from voxcli.cli.console import Words
from voxcli.cli.files import read_at_most, read_clip
from voxcli.cli.recording_options import RecordingOptions
from voxcli.cli.settings import find_user_places
from voxcli.cli.source import TextDecoder
from voxcli.errors import RequestError
from voxcli.speech import Clip, Prompt, Voice
from voxcli.voices import VoiceLibrary

if TYPE_CHECKING:
    from voxcli.audio.inspect import Report

_TRANSCRIPT_BYTES = 1 << 16
"""Far more than anybody says in the longest clip."""
_SILENT_DBFS = -60.0
"""Nobody speaks this softly; there is no voice to imitate."""


def user_library() -> VoiceLibrary:
    return VoiceLibrary(find_user_places().voices)


def how_to_use(name: str) -> str:
    return f'The voice {name} is kept. Use it with: voxcli say "..." --voice {shlex.quote(name)}'


def keep(name: str, given: RecordingOptions, words: Words, *, overwrite: bool) -> str:
    """Keep a voice, and return its name as it is written in the library.

    Raises:
        RequestError: the clip or the name cannot be used; nothing was kept.
    """
    library = user_library()
    if not overwrite:
        library.check_free(name)
    voice = build_voice(given, words)
    kept = library.save(name, voice, overwrite=overwrite)
    words.note(how_to_use(kept))
    if voice.reference and not voice.prompt:
        words.note(
            "Its words are not known, so of the VoxCPM models only VoxCPM2 can imitate it. For VoxCPM-0.5B and 1.5, "
            "keep it again with --force and --prompt-text TEXT, with --prompt-text-file FILE, "
            "or with the words in a .txt file beside the clip."
        )
    return kept


def judge(clip: Clip, label: str, words: Words) -> None:
    """Warn of what is wrong with a clip.

    Raises:
        RequestError: nobody can be imitated after it.
    """
    report = measure(clip, label)
    if report.speech_dbfs <= _SILENT_DBFS:
        raise RequestError(f"{label} is silent: there is no voice in it. Check the microphone and record again.")
    for remark in report.remarks:
        words.warning(f"{label}: {remark}")


def measure(clip: Clip, label: str) -> "Report":
    """Decode a clip and measure it.

    Raises:
        RequestError: it cannot be decoded, or is too long.
    """
    sound: AudioChunk = decode(clip.data, name=label)
    return inspect(sound)


def build_voice(given: RecordingOptions, words: Words) -> Voice:
    """Read a recording, judge it and join it with its words.

    Raises:
        RequestError: there is no voice in it, or the words cannot be read.
    """
    style = (given.instruct or "").strip() or None
    if given.recording is None:
        if given.transcript or given.transcript_file:
            raise typer.BadParameter("There are words but no clip that says them.", param_hint="--prompt")
        if style is None:
            raise typer.BadParameter("Give a recording, a description (--instruct), or both.", param_hint="--prompt")
        return Voice(style=style)
    clip = read_clip(given.recording)
    judge(clip, str(given.recording), words)
    transcript = _find_transcript(given, given.recording, words)
    if transcript:
        return Voice(style=style, prompt=Prompt(clip, transcript))
    return Voice(style=style, reference=clip)


def _find_transcript(given: RecordingOptions, clip: Path, words: Words) -> str | None:
    """Take the words from the option, from its file, from the file beside the clip, or ask for them."""
    ways = (given.transcript is not None, given.transcript_file is not None, given.no_transcript)
    if sum(ways) > 1:
        raise typer.BadParameter("Say in one way only what the words are.", param_hint="--prompt-text")
    if given.transcript is not None:
        return _not_empty(given.transcript, "--prompt-text")
    if given.transcript_file is not None:
        return _not_empty(_read_transcript(given.transcript_file), str(given.transcript_file))
    if given.no_transcript:
        return None
    beside = clip.with_suffix(".txt")
    if beside != clip and beside.is_file() and (found := _read_transcript(beside)):
        words.note(f"The words are taken from {beside}: {found} (--no-prompt-text leaves them out)")
        return found
    if can_ask():
        return ask(words, f"What is said in {clip}? Enter if you do not know:") or None
    return None


def _read_transcript(path: Path) -> str:
    data = read_at_most(path, _TRANSCRIPT_BYTES, "The words of a clip are a few lines.")
    decoder = TextDecoder(str(path))
    return " ".join((decoder.decode(data) + decoder.decode(b"")).split())


def _not_empty(transcript: str, label: str) -> str:
    if not transcript.strip():
        raise RequestError(f"{label} is empty: there are no words in it. Use --no-prompt-text if you do not know them.")
    return transcript.strip()
