"""The words of a recording: given with it, found beside it, or asked for."""

from pathlib import Path

import typer

from voxcli.cli.console import Words, ask, can_ask
from voxcli.cli.files import read_at_most
from voxcli.cli.recording_options import RecordingOptions
from voxcli.cli.text_source import TextDecoder
from voxcli.errors import RequestError

_MOST_BYTES = 1 << 16
"""Far more than anybody says in the longest clip."""


def find_transcript(given: RecordingOptions, words: Words) -> str | None:
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
        words.note(f"The words are taken from {beside}: {found} (--no-prompt-text leaves them out)")
        return found
    if can_ask():
        question = f"What is said in {clip}?" if clip else "What will you say?"
        return ask(words, f"{question} Enter if you do not know:") or None
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
