"""Voices in VoxCPM's own API: a name, clips and a description."""

from dataclasses import replace
from typing import Protocol

from voxcli.errors import RequestError
from voxcli.protocols.dialect import FieldError, FindVoice
from voxcli.protocols.fields import shown
from voxcli.synthesis.request import Clip, Prompt, Voice

VOICES_PATH = "/api/voices"
DEFAULT_VOICE = "default"
"""Exists on every server. If the library has no such voice, the model chooses one."""

MOST_CHARACTERS = 4096
"""In a description, and in a transcript."""


def voice_fields(voice: Voice) -> tuple[dict[str, str], dict[str, Clip]]:
    """Return the form fields and files of a voice.

    Raises:
        RequestError: the protocol cannot express it; names the option.
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
    """Return a text unchanged if it is not empty: in this protocol an empty field counts as absent.

    Raises:
        RequestError: the text is empty.
    """
    if not text.strip():
        raise RequestError(f"The {what} is empty, which counts as absent in VoxCPM's protocol. Check {option}.")
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
    """Read the voice of a request.

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
        f"There is no voice {shown(name)}. GET {VOICES_PATH} lists the voices.", "voice_id", "voice_not_found"
    )


def _read_prompt(given: VoiceFields) -> Prompt | None:
    clip, words = given.prompt_audio, given.prompt_text
    if clip and words.strip():
        return Prompt(clip, words)
    if clip or words:
        missing, there = ("prompt_text", "prompt_audio") if clip else ("prompt_audio", "prompt_text")
        raise FieldError(
            f"{there!r} needs {missing!r}: a recording needs its transcript.", missing, "prompt_incomplete"
        )
    return None


def voice_entry(name: str, voice: Voice) -> dict[str, str]:
    """Return the entry of a voice in the list of voices."""
    return {"id": name, "description": voice.style or "", "text": voice.prompt.transcript if voice.prompt else ""}
