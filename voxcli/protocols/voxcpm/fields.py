"""Fields of the form that VoxCPM's servers take, as our own servers read them."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, WithJsonSchema

from voxcli.audio.format import AudioFormat
from voxcli.protocols.dialect import AnswerForm, FieldError, FindVoice, Framing, ServerRequest
from voxcli.protocols.fields import (
    Text,
    Upload,
    asking,
    parse,
    seed_of,
    sent_parameters,
    shown,
    unknown_fields,
)
from voxcli.protocols.voxcpm.exact import FLOAT32
from voxcli.protocols.voxcpm.voices import DEFAULT_VOICE, MOST_CHARACTERS, VOICES_PATH
from voxcli.synthesis.request import (
    FASTEST,
    LEAST_GUIDANCE,
    MOST_GUIDANCE,
    MOST_RETRIES,
    MOST_STEPS,
    SLOWEST,
    Parameter,
    Prompt,
    Sampling,
    SynthesisRequest,
    Voice,
)

DEFAULT_STEPS = 5
"""Default of VoxCPM's servers."""
NO_LIMIT = 4096
"""Patches. In this protocol it means that only the text limits the length."""
ATTEMPTS = 3
LONGEST_RATIO = 6.0
"""Patches per token of the text beyond which speech counts as failed. No other value is supported."""

_USUAL = Sampling()
_INCOMPLETE = "prompt_incomplete"


class _SpeechFormat(StrEnum):
    """The audio formats, and the samples as the engine makes them."""

    WAV = AudioFormat.WAV
    FLAC = AudioFormat.FLAC
    MP3 = AudioFormat.MP3
    OPUS = AudioFormat.OPUS
    AAC = AudioFormat.AAC
    PCM = AudioFormat.PCM
    F32 = FLOAT32


_Format: TypeAlias = Annotated[_SpeechFormat, Field(strict=False), WithJsonSchema({"enum": [*_SpeechFormat]})]


class SpeechForm(BaseModel):
    """The form that both paths take. Empty fields count as missing; unknown fields are ignored."""

    text: Text = Field(min_length=1, description="The text to speak.")
    voice_id: Text = Field("", max_length=256, description="One of GET /api/voices.")
    prompt_audio: Upload | None = Field(None, description="A recording to continue.")
    prompt_text: Text = Field("", max_length=MOST_CHARACTERS, description="The transcript of prompt_audio.")
    cfg_value: float = Field(
        _USUAL.guidance,
        ge=LEAST_GUIDANCE,
        le=MOST_GUIDANCE,
        description="Classifier-free guidance: how closely the text and voice are followed.",
    )
    inference_timesteps: int | None = Field(
        None,
        ge=1,
        description=f"More are better and slower. The default is {DEFAULT_STEPS}, and {MOST_STEPS} is the most.",
    )
    min_len: int = Field(_USUAL.min_patches, le=2**31)
    max_len: int = Field(
        NO_LIMIT, ge=1, le=2**31, description=f"{NO_LIMIT} sets no limit besides the one derived from the text."
    )
    normalize: bool = Field(False, description="Spell out numbers, dates and units.")
    denoise: bool = Field(False, description="Remove the noise from the recordings.")
    retry_badcase: bool = Field(False, description="Regenerate speech that is far too long. Disables streaming.")
    retry_badcase_max_times: int = Field(
        ATTEMPTS, description=f"Attempts, {MOST_RETRIES + 1} at most. Only with retry_badcase."
    )
    retry_badcase_ratio_threshold: float = Field(
        LONGEST_RATIO, description=f"Without effect: speech is too long at {LONGEST_RATIO:g} patches a token."
    )
    seed: int | None = Field(
        None,
        le=2**63 - 1,
        description="Below 0 a new one is drawn. Not in VoxCPM's API, like the following fields.",
    )
    reference_audio: Upload | None = Field(None, description="A recording to imitate, which needs no transcript.")
    instruct: Text = Field("", max_length=MOST_CHARACTERS, description="How to speak.")
    language: Text = Field("", max_length=64, examples=["zh", "en"])
    speed: float = Field(1.0, ge=SLOWEST, le=FASTEST)
    format: _Format = Field(
        _SpeechFormat.WAV,
        description=f"Of the response. {FLOAT32}: 32-bit floats, little endian, mono, without a header; the content "
        "type tells their rate.",
    )
    framing: Literal["plain", "blocks"] = Field(
        "plain",
        description="blocks: a stream is a complete WAV file for every chunk, as VoxCPM's own server sends it, in "
        "place of one file that grows.",
    )
    as_is: bool = Field(
        False,
        description="The text is one request to the engine: it is not split into sentences, its tags are left to the "
        "engine, and empty fields count as sent. prompt_audio is continued even without prompt_text.",
    )
    text_language: Text = Field(
        "",
        max_length=64,
        description="The language of the whole text, if this is a part of one: it tells how a number alone is read. "
        "Only with as_is.",
    )


class _UnlimitedForm(SpeechForm):
    """The same without limits on lengths, for programs of the user who runs the engine."""

    voice_id: Text = ""
    prompt_text: Text = ""
    instruct: Text = ""
    language: Text = ""
    text_language: Text = ""


_TEXTS = ("voice_id", "prompt_text", "instruct", "language", "text_language")
"""Fields that may be sent empty with `as_is`."""


def to_server_request(
    fields: Mapping[str, Any],
    find_voice: FindVoice | None,
    *,
    stream: bool = True,
    default_steps: int = DEFAULT_STEPS,
    max_characters: int | None = None,
) -> ServerRequest:
    """Read a request. Empty fields count as absent, except with `as_is`; unknown fields are ignored.

    Args:
        find_voice: None leaves every name to the engine, and sets no limits on lengths.
        stream: whether it was sent to `/api/tts/stream`.
        default_steps: for requests without `inference_timesteps`.
        max_characters: of the text.

    Raises:
        FieldError: a field is missing or invalid. `problem_of` returns the status.
        RequestError: the request is invalid as a whole.
    """
    may_be_empty = _TEXTS if asking(fields, ("as_is",)) else ()
    there = {
        name: value for name, value in fields.items() if value is not None and (value != "" or name in may_be_empty)
    }
    form_type = SpeechForm if find_voice else _UnlimitedForm
    given = parse(form_type, there, text="text", max_characters=max_characters)
    request = SynthesisRequest(
        text=given.text,
        voice=read_voice(given, find_voice),
        sampling=_read_sampling(given, default_steps),
        language=_told(given, "language"),
        text_language=_told(given, "text_language"),
        speed=given.speed,
        normalize=given.normalize,
        denoise=given.denoise,
    )
    floats = given.format is _SpeechFormat.F32
    format = AudioFormat.PCM if floats else AudioFormat(given.format)
    form = AnswerForm(
        format=format,
        framing=Framing(given.framing) if stream and format is AudioFormat.WAV else Framing.PLAIN,
        whole=not stream or format is AudioFormat.FLAC,  # libsndfile refuses FLAC without its length
        floats=floats,
    )
    limited = _limited(given, form)
    return ServerRequest(
        request=request,
        form=form,
        as_is=given.as_is,
        parameters={name: of for name, of in sent_parameters(there, _PARAMETERS).items() if name not in limited},
        ignored=(*limited, *unknown_fields(SpeechForm, there)),
    )


_PARAMETERS = {
    "cfg_value": Parameter.GUIDANCE,
    "inference_timesteps": Parameter.STEPS,
    "min_len": Parameter.LEAST_PATCHES,
    "max_len": Parameter.MOST_PATCHES,
    "retry_badcase": Parameter.RETRIES,
    "retry_badcase_max_times": Parameter.RETRIES,
    "seed": Parameter.SEED,
    "instruct": Parameter.STYLE,
    "denoise": Parameter.DENOISE,
}


def _limited(given: SpeechForm, form: AnswerForm) -> list[str]:
    """Name the fields whose value is not followed, or not to the full."""
    sent = given.model_fields_set
    checks = (
        ("inference_timesteps", (given.inference_timesteps or 0) > MOST_STEPS),
        ("retry_badcase_max_times", given.retry_badcase_max_times > MOST_RETRIES + 1 or not given.retry_badcase),
        ("retry_badcase_ratio_threshold", given.retry_badcase_ratio_threshold != LONGEST_RATIO),
        ("prompt_text", given.prompt_audio is None),
        ("framing", form.framing.value != given.framing),
        ("text_language", not given.as_is),
    )
    return [name for name, limited in checks if limited and name in sent]


def _told(given: SpeechForm, name: str) -> str | None:
    """Return a text; None if it was not sent, or is empty and counts as absent."""
    value: str = getattr(given, name)
    return value if value or (given.as_is and name in given.model_fields_set) else None


def _read_sampling(given: SpeechForm, default_steps: int) -> Sampling:
    return Sampling(
        steps=min(given.inference_timesteps or default_steps, MOST_STEPS),
        guidance=given.cfg_value,
        seed=seed_of(given.seed),
        min_patches=max(given.min_len, 0),
        max_patches=_most_patches(given),
        retries=min(max(given.retry_badcase_max_times - 1, 0), MOST_RETRIES) if given.retry_badcase else 0,
    )


def _most_patches(given: SpeechForm) -> int | None:
    if given.as_is:  # where no limit is sent as no field
        return given.max_len if "max_len" in given.model_fields_set else None
    return None if given.max_len == NO_LIMIT else given.max_len


def read_voice(given: SpeechForm, find_voice: FindVoice | None) -> Voice:
    """Read the voice of a request.

    find_voice: None leaves every name to the engine.

    Raises:
        FieldError: there is no such voice, or the fields contradict each other.
    """
    clips = _read_clips(given)
    style = _told(given, "instruct")
    if find_voice is None:
        return replace(clips, name=_told(given, "voice_id"), style=style)
    has_clip = bool(clips.reference or clips.prompt)
    # Some clients send the name of the default voice with every request.
    name = "" if has_clip and given.voice_id == DEFAULT_VOICE else given.voice_id
    if name and has_clip:
        raise FieldError("Give the name of a voice or a clip, not both.", "voice_id")
    voice = _find(name, find_voice) if name else clips
    return voice if style is None else replace(voice, style=style)


def _find(name: str, find_voice: FindVoice) -> Voice:
    if voice := find_voice(name):
        return voice
    if name == DEFAULT_VOICE:
        return Voice()
    raise FieldError(
        f"There is no voice {shown(name)}. GET {VOICES_PATH} lists the voices.", "voice_id", "voice_not_found"
    )


def _read_clips(given: SpeechForm) -> Voice:
    """Return the voice of the clips. A recording without its transcript is one to imitate."""
    reference, prompt, words = given.reference_audio, given.prompt_audio, given.prompt_text
    if prompt and (words.strip() or given.as_is):
        return Voice(reference=reference, prompt=Prompt(prompt, words))
    if prompt and reference:
        raise FieldError("'prompt_audio' needs 'prompt_text' beside 'reference_audio'.", "prompt_text", _INCOMPLETE)
    if words and not (prompt or given.voice_id or given.as_is):
        raise FieldError("'prompt_text' needs 'prompt_audio', the recording of it.", "prompt_audio", _INCOMPLETE)
    return Voice(reference=reference or prompt)
