"""Finding out what a server is, from what it says of itself and without making sound."""

import contextlib
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxcli.engines.remote.http import Transport
from voxcli.engines.remote.settings import has_version, root_of
from voxcli.errors import RemoteError, RemoteRefused
from voxcli.protocols.dialect import HttpCall
from voxcli.protocols.names import Dialect

KNOWN_SECONDS = 24 * 60 * 60.0
"""A server may be replaced by another one, but not every hour."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a server is."""

    dialect: Dialect
    is_voxcli: bool = False
    """It understands more than its dialect has words for."""
    version: int = 2
    """Of GPT-SoVITS's API: 1 or 2."""


class Memory:
    """Servers by their address, with the time at which they were asked."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def find(self, url: str, now: float) -> Server | None:
        """Return what a server is, if that was found out lately.

        Args:
            now: in seconds since 1970.
        """
        entry = self._read().get(url)
        try:
            if entry and 0 <= now - entry["asked"] < KNOWN_SECONDS:
                known = entry["server"]
                return Server(**{**known, "dialect": Dialect(known["dialect"])})
        except (KeyError, TypeError, ValueError):
            pass  # written by another version
        return None

    def keep(self, url: str, server: Server, now: float) -> None:
        self._write({**self._read(), url: {"asked": now, "server": asdict(server)}})

    def forget(self, url: str) -> None:
        known = self._read()
        if known.pop(url, None):
            self._write(known)

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write(self, known: dict[str, Any]) -> None:
        staged = self._file.with_name(f".{secrets.token_hex(8)}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            staged.write_text(json.dumps(known, indent=1), "utf-8")
            staged.replace(self._file)
        except OSError as error:
            _log.debug("not remembered: %s", error)
            with contextlib.suppress(OSError):
                staged.unlink(missing_ok=True)


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
