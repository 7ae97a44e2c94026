"""Voices in VoxCPM's own API: a name, clips and a description."""

from voxcli.errors import RequestError
from voxcli.synthesis.request import Clip, Voice

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
    refuse_two_voices(voice)
    if voice.name is not None:
        texts["voice_id"] = not_empty(voice.name, "name of the voice", "--voice")
    if voice.style is not None:
        texts["instruct"] = not_empty(voice.style, "description", "--instruct")
    if voice.reference:
        files["reference_audio"] = voice.reference
    if voice.prompt:
        texts["prompt_text"] = not_empty(voice.prompt.transcript, "transcript", "--prompt-text")
        files["prompt_audio"] = voice.prompt.clip
    return texts, files


def refuse_two_voices(voice: Voice) -> None:
    """Raise RequestError if a voice has both a name and a clip."""
    if voice.name is not None and (voice.reference or voice.prompt):
        raise RequestError(
            "VoxCPM's protocol takes the name of a voice or a clip, not both.", on_command_line="Leave out --voice."
        )


def not_empty(text: str, what: str, option: str) -> str:
    """Return a text unchanged if it is not empty: in this protocol an empty field counts as absent.

    Raises:
        RequestError: the text is empty.
    """
    if not text.strip():
        raise RequestError(
            f"The {what} is empty, which counts as absent in VoxCPM's protocol.", on_command_line=f"Check {option}."
        )
    return text


def voice_entry(name: str, voice: Voice) -> dict[str, str]:
    """Return the entry of a voice in the list of voices."""
    return {"id": name, "description": voice.style or "", "text": voice.prompt.transcript if voice.prompt else ""}
