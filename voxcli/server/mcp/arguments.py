"""Arguments of the tools for agents: one model a tool, from which its schema and the messages about wrong values come.

`text_to_speech` and `voice_cloning` take what the tools of those names take in github.com/neosun100/voxcpm-docker,
release 1.4.0, and a few parameters more.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from voxcli.errors import RequestError, did_you_mean
from voxcli.protocols.dialect import FieldError, FindVoice, ServerRequest
from voxcli.protocols.fields import Format, Text, parse_fields, shown
from voxcli.protocols.voxcpm import messages as voxcpm
from voxcli.protocols.voxcpm.fields import ATTEMPTS, LONGEST_RATIO
from voxcli.synthesis.request import FASTEST, SLOWEST, Clip, Sampling

A = TypeVar("A", bound=BaseModel)

_STEPS = Sampling().steps
_ID = "The id that speak returned. Without it, the newest one of yours."


class NoArguments(BaseModel):
    """For tools that take none."""


class SpokenArguments(BaseModel):
    """A text, and how it is spoken."""

    text: Text = Field(description="The text to speak, as prose. [pause 0.5s] is half a second of silence.")
    voice: Text | None = Field(None, max_length=256, description="One of list_voices. Default: the usual voice.")
    language: Text | None = Field(
        None, max_length=64, description='Such as "en" or "zh". Default: that of the text.', examples=["en", "zh"]
    )
    speed: float = Field(1.0, ge=SLOWEST, le=FASTEST, description="Speaking rate: 2 is twice as fast.")
    instruct: Text | None = Field(
        None, max_length=4096, description="How to speak, on models that follow a description."
    )


class SpeakArguments(SpokenArguments):
    """Arguments of `speak`."""

    interrupt: bool = Field(False, description="Stop what you are saying and what you have queued, and say this next.")
    max_wait_seconds: float | None = Field(
        None, ge=0, description="Drop the text if others are still speaking after this time. Default: wait for them."
    )


class SpeechIdArguments(BaseModel):
    """Arguments of `stop_speaking` and `speech_status`."""

    id: Text | None = Field(None, max_length=64, description="The id that speak returned. Default: all of yours.")


class AwaitArguments(BaseModel):
    """Arguments of `await_speech`."""

    id: Text | None = Field(None, max_length=64, description=_ID)
    timeout_seconds: float | None = Field(
        None, ge=0, description="Return after this time even if it is still speaking. Default: at the end."
    )


class FileArguments(SpokenArguments):
    """Arguments of `synthesize_to_file`."""

    path: Text = Field(
        min_length=1,
        max_length=1024,
        description="Name of the file below the folder that the user has chosen. Its suffix names the format: .wav, "
        ".flac, .mp3, .opus, .aac or .pcm.",
    )
    overwrite: bool = Field(False, description="Replace the file if it exists.")


class TextToSpeechArguments(SpokenArguments):
    """Arguments of `text_to_speech`."""

    output_path: Text | None = Field(
        None,
        max_length=1024,
        description="File to write, below the folder that the user has chosen. Default: a new one there; without such "
        "a folder, the sound comes in the answer.",
    )
    format: Format | None = Field(None, description="Of the sound in the answer. Default: wav.")
    cfg_value: float = Field(2.0, description="Guidance: how closely the text and voice are followed, 0 to 10.")
    inference_timesteps: int = Field(_STEPS, description="More are better and slower: 4 to 20.")
    min_len: int = Field(2, description="Shortest length of a sentence, in patches.")
    max_len: int = Field(voxcpm.NO_LIMIT, description="Longest length of a sentence, in patches.")
    normalize: bool = Field(False, description="Spell out numbers, dates and units.")
    denoise: bool = Field(False, description="Remove the noise from the recording of the voice.")
    retry_badcase: bool = Field(True, description="Speak a sentence again that became far too long.")
    retry_badcase_max_times: int = Field(ATTEMPTS, description="Attempts, 4 at most.")
    retry_badcase_ratio_threshold: float = Field(LONGEST_RATIO, description="Without effect: it is always 6.")
    seed: int | None = Field(None, description="The same seed gives the same speech. Default: random.")


class VoiceCloningArguments(TextToSpeechArguments):
    """Arguments of `voice_cloning`."""

    reference_audio: Text = Field(
        min_length=1, max_length=4096, description="Path of a recording of the voice: 5 to 30 s of clear speech."
    )
    reference_text: Text | None = Field(
        None, max_length=4096, description="What is said in it. VoxCPM2 works without, the other models need it."
    )


def read_arguments(model: type[A], given: Mapping[str, Any] | None) -> A:
    """Read the arguments of a tool. Those that are null count as absent.

    Raises:
        FieldError: one is missing, invalid, or unknown.
    """
    there = {name: value for name, value in (given or {}).items() if value is not None}
    for name in there:
        if name not in model.model_fields:
            near = did_you_mean(name, model.model_fields)
            raise FieldError(f"There is no parameter {shown(name)}.{near}", name, "unknown_parameter")
    return parse_fields(model, there)


def to_request(
    asked: SpokenArguments, find_voice: FindVoice, recording: Clip | None = None, *, max_characters: int | None
) -> ServerRequest:
    """Return the request for speech that the arguments of a tool make.

    Args:
        recording: of the voice, to imitate or, with its transcript, to continue.

    Raises:
        RequestError: the text is empty or too long, or a value is out of bounds.
    """
    if not asked.text.strip():
        raise RequestError("The text is empty: there is nothing to say.")
    fields: dict[str, Any] = {"inference_timesteps": _STEPS, **asked.model_dump(exclude_unset=True)}
    for name in _NOT_OF_THE_FORM & fields.keys():
        del fields[name]
    fields["voice_id"] = fields.pop("voice", None)
    if isinstance(asked, TextToSpeechArguments):
        fields |= {"retry_badcase": asked.retry_badcase}
    if isinstance(asked, VoiceCloningArguments):
        fields |= {"prompt_audio": recording, "prompt_text": asked.reference_text}
    return voxcpm.to_server_request(fields, find_voice, stream=False, max_characters=max_characters)


_NOT_OF_THE_FORM = frozenset(
    {"path", "overwrite", "interrupt", "max_wait_seconds", "output_path", "reference_audio", "reference_text"}
)
