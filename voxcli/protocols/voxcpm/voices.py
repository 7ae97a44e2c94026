"""Who speaks, in the words of VoxCPM's own API: a name, clips and a description."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from voxcli.errors import RequestError
from voxcli.protocols.dialect import FieldError, FindVoice
from voxcli.protocols.fields import read_text, read_upload
from voxcli.protocols.openai_fields import shown
from voxcli.synthesis.request import Clip, Prompt, Voice

VOICES_PATH = "/api/voices"
DEFAULT_VOICE = "default"
"""Every server has one so called. Where the library has not, the model chooses."""

_MOST_CHARACTERS = 4096
"""Of a description, and of the words of a clip."""


def voice_fields(voice: Voice) -> tuple[dict[str, str], dict[str, Clip]]:
    """Return the fields and the files that a voice takes.

    Raises:
        RequestError: the protocol cannot say it; with the name of the option.
    """
    texts: dict[str, str] = {}
    files: dict[str, Clip] = {}
    if voice.name is not None:
        if voice.reference or voice.prompt:
            raise RequestError("VoxCPM's protocol takes the name of a voice or a clip, not both. Leave out --voice.")
        texts["voice_id"] = not_empty(voice.name, "name of the voice", "--voice")
    if voice.style is not None:
        texts["instruct"] = not_empty(voice.style, "description", "--instruct")
    if voice.reference:
        files["reference_audio"] = voice.reference
    if voice.prompt:
        texts["prompt_text"] = not_empty(voice.prompt.transcript, "transcript", "--prompt-text")
        files["prompt_audio"] = voice.prompt.clip
    return texts, files


def not_empty(text: str, what: str, option: str) -> str:
    """Return a text that this protocol can carry: an empty field is none.

    Raises:
        RequestError: there is nothing in it.
    """
    if not text.strip():
        raise RequestError(f"The {what} is empty: in VoxCPM's protocol that is none. Check {option}.")
    return text


def read_voice(given: Mapping[str, Any], find_voice: FindVoice) -> Voice:
    """Read who shall speak. Empty fields must have been taken out.

    Raises:
        FieldError: there is no such voice, or what is given does not go together.
    """
    reference, prompt = read_upload(given, "reference_audio"), _read_prompt(given)
    name = read_text(given, "voice_id", most=256)
    voice = _find(name, find_voice) if name else Voice()
    if reference or prompt:
        if voice != Voice():
            raise FieldError("Give the name of a voice or a clip, not both.", "voice_id")
        voice = Voice(reference=reference, prompt=prompt)
    style = read_text(given, "instruct", most=_MOST_CHARACTERS)
    return replace(voice, style=style) if style else voice


def _find(name: str, find_voice: FindVoice) -> Voice:
    if voice := find_voice(name):
        return voice
    if name == DEFAULT_VOICE:
        return Voice()
    raise FieldError(
        f"There is no voice {shown(name)}. GET {VOICES_PATH} lists those there are.", "voice_id", "voice_not_found"
    )


def _read_prompt(given: Mapping[str, Any]) -> Prompt | None:
    clip, words = read_upload(given, "prompt_audio"), read_text(given, "prompt_text", most=_MOST_CHARACTERS)
    if clip and words.strip():
        return Prompt(clip, words)
    if clip or words:
        missing, there = ("prompt_text", "prompt_audio") if clip else ("prompt_audio", "prompt_text")
        raise FieldError(f"{there!r} needs {missing!r}: a recording goes with its words.", missing, "prompt_incomplete")
    return None


def voice_entry(name: str, voice: Voice) -> dict[str, str]:
    """Return what the list of voices says about one of them."""
    return {"id": name, "description": voice.style or "", "text": voice.prompt.transcript if voice.prompt else ""}


def voice_names(listing: object) -> list[str] | None:
    """Return the names in a server's list of voices, or None if it is no such list."""
    voices = listing.get("voices") if isinstance(listing, Mapping) else None
    if not isinstance(voices, list):
        return None
    return [str(voice["id"]) for voice in voices if isinstance(voice, Mapping) and "id" in voice]
