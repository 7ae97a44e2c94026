"""Finding out what a server is, from what it says of itself and without making sound."""

from collections.abc import Mapping
from typing import Any

from voxcli.engines.remote.address import has_version, root_of
from voxcli.engines.remote.memory import Server
from voxcli.engines.remote.transport import Transport
from voxcli.errors import RemoteError, RemoteRefused
from voxcli.protocols.dialect import Dialect, HttpCall

OWN_TITLE = "voxcli"
"""What our own servers call themselves in their description."""

_DESCRIPTION = HttpCall(method="GET", path="/openapi.json")
_MODELS = HttpCall(method="GET", path="/v1/models")
_HEALTH = HttpCall(method="GET", path="/health")
_NOTHING_TO_SAY = HttpCall(
    method="GET", path="/tts", query={"text": "", "text_lang": "zz", "prompt_lang": "zz", "ref_audio_path": ""}
)
"""GPT-SoVITS refuses this before it does anything."""
_WANTS_A_KEY = (401, 403)


def find_out(transport: Transport, base: str) -> Server:
    """Ask a server what it is. Who names a version in the address means OpenAI's protocol.

    Raises:
        RemoteError: nothing tells what it is.
    """
    if has_version(base):
        return Server(dialect=Dialect.OPENAI)
    status, description = transport.ask(base, _DESCRIPTION)
    if server := read_description(description):
        return server
    statuses = {status}
    for call, tells in ((_MODELS, _is_openai), (_HEALTH, _is_voxcpm), (_NOTHING_TO_SAY, _is_gpt_sovits)):
        status, document = transport.ask(base, call)
        statuses.add(status)
        if dialect := tells(status, document):
            return Server(dialect=dialect)
    _refuse_if_locked(base, statuses)
    raise RemoteError(
        f"{base} answers, but nothing tells what it speaks. Say it with --protocol voxcpm, openai or gpt-sovits."
    )


def look_closer(transport: Transport, base: str, dialect: Dialect) -> Server:
    """Ask a server whose dialect is known for what else makes a difference.

    Raises:
        RemoteError: it cannot be reached, or wants a key.
    """
    if dialect is Dialect.OPENAI:
        return Server(dialect=dialect)
    status, description = transport.ask(root_of(base), _DESCRIPTION)
    _refuse_if_locked(base, {status})
    described = read_description(description)
    if described and described.is_voxcli:
        return Server(dialect=dialect, is_voxcli=True)
    return described if described and described.dialect is dialect else Server(dialect=dialect)


def _refuse_if_locked(base: str, statuses: set[int]) -> None:
    if locked := statuses.intersection(_WANTS_A_KEY):
        status = min(locked)
        raise RemoteRefused(f"{base} wants a key ({status}). Keep its key with: voxcli keys set {base}", status)


def read_description(document: Any) -> Server | None:
    """Return what the description of a server (OpenAPI) gives away."""
    paths = document.get("paths") if isinstance(document, Mapping) else None
    if not isinstance(paths, Mapping):
        return None
    info = document.get("info")
    if isinstance(info, Mapping) and info.get("title") == OWN_TITLE:
        return Server(dialect=Dialect.VOXCPM, is_voxcli=True)
    if "/api/tts" in paths:
        return Server(dialect=Dialect.VOXCPM)
    if "/v1/audio/speech" in paths:
        return Server(dialect=Dialect.OPENAI)
    if "/tts" in paths and "ref_audio_path" in str(document):
        return Server(dialect=Dialect.GPT_SOVITS)
    if "/" in paths and "/change_refer" in paths:
        return Server(dialect=Dialect.GPT_SOVITS, version=1)
    return None


def _is_openai(status: int, document: Any) -> Dialect | None:
    lists_models = isinstance(document, Mapping) and isinstance(document.get("data"), list)
    refuses = status in _WANTS_A_KEY and isinstance(document, Mapping) and "error" in document
    return Dialect.OPENAI if lists_models or refuses else None


def _is_voxcpm(status: int, document: Any) -> Dialect | None:
    return Dialect.VOXCPM if isinstance(document, Mapping) and "model_loaded" in document else None


def _is_gpt_sovits(status: int, document: Any) -> Dialect | None:
    says = document.get("message") if isinstance(document, Mapping) else None
    return Dialect.GPT_SOVITS if status == 400 and isinstance(says, str) and "ref_audio_path" in says else None
