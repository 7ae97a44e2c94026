"""Who speaks, in the words of VoxCPM's own API: a name, clips and a description."""

from dataclasses import replace
from typing import Protocol

from voxcli.errors import RequestError
from voxcli.protocols.dialect import FieldError, FindVoice
from voxcli.protocols.fields import shown
from voxcli.synthesis.request import Clip, Prompt, Voice

VOICES_PATH = "/api/voices"
DEFAULT_VOICE = "default"
"""Every server has one so called. Where the library has not, the model chooses."""

MOST_CHARACTERS = 4096
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


class VoiceFields(Protocol):
    """The fields of a form that name, describe or carry a voice."""

    @property
    def voice_id(self) -> str: ...
    @property
    def instruct(self) -> str: ...
    @property
    def prompt_text(self) -> str: ...
    @property
    def prompt_audio(self) -> Clip | None: ...
    @property
    def reference_audio(self) -> Clip | None: ...


def read_voice(given: VoiceFields, find_voice: FindVoice) -> Voice:
    """Read which voice is to speak.

    Raises:
        FieldError: there is no such voice, or the fields contradict each other.
    """
    reference, prompt = given.reference_audio, _read_prompt(given)
    voice = _find(given.voice_id, find_voice) if given.voice_id else Voice()
    if reference or prompt:
        if voice != Voice():
            raise FieldError("Give the name of a voice or a clip, not both.", "voice_id")
        voice = Voice(reference=reference, prompt=prompt)
    return replace(voice, style=given.instruct) if given.instruct else voice


def _find(name: str, find_voice: FindVoice) -> Voice:
    if voice := find_voice(name):
        return voice
    if name == DEFAULT_VOICE:
        return Voice()
    raise FieldError(
        f"There is no voice {shown(name)}. GET {VOICES_PATH} lists those there are.", "voice_id", "voice_not_found"
    )


def _read_prompt(given: VoiceFields) -> Prompt | None:
    clip, words = given.prompt_audio, given.prompt_text
    if clip and words.strip():
        return Prompt(clip, words)
    if clip or words:
        missing, there = ("prompt_text", "prompt_audio") if clip else ("prompt_audio", "prompt_text")
        raise FieldError(f"{there!r} needs {missing!r}: a recording goes with its words.", missing, "prompt_incomplete")
    return None


def voice_entry(name: str, voice: Voice) -> dict[str, str]:
    """Return what the list of voices says about one of them."""
    return {"id": name, "description": voice.style or "", "text": voice.prompt.transcript if voice.prompt else ""}
