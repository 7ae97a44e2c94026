"""Voice routes: OpenAI's `/v1/audio/voices`, and `/v1/voices` of VoxCPM's server.

Both store voices in the library, where every dialect finds them, by the name that the client gave or by the id that it
got. The id is the name where that is plain.
"""

import secrets
import time
from datetime import UTC, date, datetime
from typing import Annotated, Literal, NoReturn

from fastapi import APIRouter, Depends, File, Form
from fastapi.datastructures import UploadFile

from voxcli.errors import RequestError
from voxcli.protocols.dialect import FieldError, Problem
from voxcli.protocols.fields import shown
from voxcli.protocols.openai.fields import MOST_CHARACTERS, VOICES
from voxcli.server.bodies import check_form, is_given, read_clip
from voxcli.server.errors import Refusal
from voxcli.server.routes.dialect_route import error_responses
from voxcli.server.routes.openai_schema import (
    ERROR_SCHEMA,
    AudioVoice,
    AudioVoiceDeleted,
    CustomVoice,
    CustomVoices,
    PresetVoice,
    TypedCustomVoice,
    VoiceConsent,
    VoiceConsentDeleted,
    VoiceConsents,
    VoiceCreated,
    VoiceGone,
    VoiceName,
    VoiceNames,
)
from voxcli.server.service import Service
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.version import __version__
from voxcli.voices import Notes, VoiceLibrary
from voxcli.voices.description import is_name
from voxcli.voices.description import voice_id as id_of

_MOST_VOICES = 1000
"""Limit of what clients can store on disk."""

_NOT_FOUND = error_responses(ERROR_SCHEMA, [404])
_Name = Annotated[str, Form(max_length=256)]
_WORDS = Form(max_length=MOST_CHARACTERS)
_Words = Annotated[str, _WORDS]
_MaybeWords = Annotated[str | None, _WORDS]
_FORM = [Depends(check_form)]
_Given = Annotated[UploadFile, File()]
_MaybeGiven = Annotated[UploadFile | None, File()]


def add_routes(routes: APIRouter, service: Service) -> None:
    """Add the voice routes of both APIs below `/v1`."""
    _add_audio_voices(routes, service)
    _add_consents(routes, service)
    _add_voices(routes, service)
    _add_custom_voices(routes, service)


def _add_audio_voices(routes: APIRouter, service: Service) -> None:
    @routes.post("/audio/voices", response_model_exclude_none=True, dependencies=_FORM)
    async def create_audio_voice(
        name: _Name,
        type: Annotated[Literal["audio_sample", "prompt"], Form()] = "audio_sample",
        audio_sample: _MaybeGiven = None,
        text: _MaybeWords = None,
        prompt: _MaybeWords = None,
        consent: _MaybeWords = None,
    ) -> AudioVoice:
        """Store a voice: a clip to imitate, with its transcript in `text` (not in OpenAI's API), or a description.

        `consent` is stored without being checked.
        """
        if type == "prompt":
            voice = Voice(style=_not_blank(prompt, "prompt"))
        else:
            if audio_sample is None or not is_given(audio_sample):
                raise FieldError("'audio_sample' is missing.", "audio_sample", "missing_required_parameter")
            clip = await read_clip(audio_sample, service.settings, service.threads, field="audio_sample")
            voice = _imitated(clip, text)
        notes = await _keep(service, name, voice, consent)
        return AudioVoice(id=id_of(name), name=name, created_at=_created_at(notes), type=type, prompt=voice.style)

    @routes.delete("/audio/voices/{voice_id}", responses=_NOT_FOUND)
    async def delete_audio_voice(voice_id: str) -> AudioVoiceDeleted:
        await _remove(service, voice_id)
        return AudioVoiceDeleted(id=voice_id)


def _add_consents(routes: APIRouter, service: Service) -> None:
    """Add the routes of consents, which OpenAI's clients register before a voice. They last as long as the server."""
    known: dict[str, VoiceConsent] = {}

    @routes.post("/audio/voice_consents", dependencies=_FORM)
    async def create_consent(
        name: _Name, language: Annotated[str, Form(max_length=64)], recording: _Given
    ) -> VoiceConsent:
        """Register a consent. The recording is checked to be audio, and not kept."""
        if not is_given(recording):
            raise FieldError("'recording' is missing.", "recording", "missing_required_parameter")
        await read_clip(recording, service.settings, service.threads, field="recording")
        if len(known) >= _MOST_VOICES:
            del known[next(iter(known))]
        id = f"cons_{secrets.token_hex(12)}"
        known[id] = VoiceConsent(id=id, name=name, language=language, created_at=int(time.time()))
        return known[id]

    @routes.get("/audio/voice_consents")
    async def list_consents() -> VoiceConsents:
        return VoiceConsents(data=list(known.values()))

    @routes.get("/audio/voice_consents/{consent_id}", responses=_NOT_FOUND)
    async def find_consent(consent_id: str) -> VoiceConsent:
        return known.get(consent_id) or _no_consent()

    @routes.delete("/audio/voice_consents/{consent_id}", responses=_NOT_FOUND)
    async def delete_consent(consent_id: str) -> VoiceConsentDeleted:
        if known.pop(consent_id, None) is None:
            _no_consent()
        return VoiceConsentDeleted(id=consent_id)


def _no_consent() -> NoReturn:
    message = "Consent not found. GET /v1/audio/voice_consents lists the consents."
    raise Refusal(Problem(status=404, message=message, code="consent_not_found", field="consent_id"))


def _add_voices(routes: APIRouter, service: Service) -> None:
    @routes.get("/voices")
    async def list_voices() -> VoiceNames:
        """List OpenAI's voices, then those of the library and of the engine."""
        own = await service.threads.call(lambda: list_own_voices(service))
        presets = [VoiceName(id=name, name=name.title()) for name in VOICES]
        return VoiceNames(voices=[*presets, *(voice for voice in own if voice.id not in VOICES)])

    @routes.post("/voices/create", dependencies=_FORM)
    async def create_voice(audio: _Given, name: _Name, text: _Words) -> VoiceCreated:
        """Store a voice: a clip to continue from, and its transcript."""
        words = _not_blank(text, "text")
        if not is_given(audio):
            raise FieldError("'audio' is missing.", "audio", "missing_required_parameter")
        clip = await read_clip(audio, service.settings, service.threads, field="audio")
        await _keep(service, name, _imitated(clip, words))
        id = id_of(name)
        message = f"Speak with it as voice={id!r} of /v1/audio/speech."
        return VoiceCreated(voice_id=id, name=name, message=message)


def _add_custom_voices(routes: APIRouter, service: Service) -> None:
    @routes.get("/voices/custom")
    async def list_custom_voices() -> CustomVoices:
        """List the voices of the library, with their transcripts."""
        library = service.voices
        described = await service.threads.call(lambda: [_describe(library, name) for name in library.names()])
        return CustomVoices(voices=[voice for voice in described if voice])

    @routes.get("/voices/{voice_id}", responses=_NOT_FOUND)
    async def find_voice(voice_id: str) -> TypedCustomVoice | PresetVoice:
        if found := await service.threads.call(lambda: _find(service.voices, voice_id)):
            return TypedCustomVoice(**found.model_dump())
        if voice_id in VOICES:
            return PresetVoice(id=voice_id, name=voice_id.title())
        raise _no_voice(voice_id)

    @routes.delete("/voices/{voice_id}", responses=_NOT_FOUND)
    async def delete_voice(voice_id: str) -> VoiceGone:
        if voice_id in VOICES and not await service.threads.call(lambda: service.voices.find_spelling(voice_id)):
            raise FieldError(f"{voice_id!r} is one of OpenAI's voices and cannot be deleted.", "voice_id")
        await _remove(service, voice_id)
        return VoiceGone(message=f"Voice {voice_id!r} deleted")


def _imitated(clip: Clip, text: str | None) -> Voice:
    """Return the voice of a clip. With a transcript, every model can continue from it."""
    words = (text or "").strip()
    return Voice(prompt=Prompt(clip, words)) if words else Voice(reference=clip)


def _not_blank(text: str | None, field: str) -> str:
    words = (text or "").strip()
    if not words:
        raise FieldError(f"{field!r} is missing.", field, "missing_required_parameter")
    return words


async def _keep(service: Service, name: str, voice: Voice, consent: str | None = None) -> Notes:
    """Store a new voice, and return its notes.

    Raises:
        FieldError: the name is invalid or taken.
    """
    name = _not_blank(name, "name")
    notes = Notes(
        consent=consent or None,
        created=date.today().isoformat(),
        voxcli=__version__,
        title=None if is_name(name) else name,
    )
    await service.threads.call(lambda: _save(service, name, voice, notes))
    return notes


def _save(service: Service, name: str, voice: Voice, notes: Notes) -> None:
    library = service.voices
    if library.find_spelling(name):
        message = f"Voice {name!r} already exists. Delete it first, or choose another name."
        raise FieldError(message, "name", "voice_exists")
    if reason := service.why_reserved(name):
        message = f"A new voice cannot be called {shown(name)}: {reason}. Choose another name."
        raise FieldError(message, "name", "voice_name_reserved")
    if len(library.names()) >= _MOST_VOICES:
        raise FieldError(f"The library is full: {_MOST_VOICES} voices. Delete one first.", "name", "too_many_voices")
    try:
        library.save(name if is_name(name) else id_of(name), voice, notes)
    except RequestError as error:
        raise FieldError(str(error), "name") from error


async def _remove(service: Service, name: str) -> None:
    known = await service.threads.call(lambda: service.voices.find_spelling(name))
    if known is None:
        raise _no_voice(name)
    await service.threads.call(lambda: service.voices.remove(known))


def list_own_voices(service: Service) -> list[VoiceName]:
    """Return the voices of the library that the engine can speak with, and the engine's own. Reads files."""
    library = service.voices
    return [
        VoiceName(id=name, name=_title(library, name) if name in kept else name)
        for kept in [set(library.names())]
        for name in service.choice.names()
    ]


def _title(library: VoiceLibrary, name: str) -> str:
    found = library.describe(name)
    return (found[1].title if found else None) or name


def _find(library: VoiceLibrary, name: str) -> CustomVoice | None:
    known = library.find_spelling(name)
    return _describe(library, known) if known else None


def _describe(library: VoiceLibrary, name: str) -> CustomVoice | None:
    """Describe a voice of the library; None if it is gone or damaged."""
    found = library.describe(name)
    if found is None:
        return None
    voice, notes = found
    words = voice.prompt.transcript if voice.prompt else ""
    return CustomVoice(id=name, name=notes.title or name, text=words, created_at=_created_at(notes))


def _created_at(notes: Notes) -> int:
    """Return the start of the day in the notes, in Unix seconds; 0 if there is none."""
    try:
        day = date.fromisoformat(notes.created or "")
    except ValueError:
        return 0
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _no_voice(name: str) -> Refusal:
    shown = f"{name[:64]!r}"
    message = f"Voice {shown} not found. GET /v1/audio/voices lists the voices."
    return Refusal(Problem(status=404, message=message, code="voice_not_found", field="voice_id"))
