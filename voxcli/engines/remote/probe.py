"""Server detection: which protocol a server speaks, without synthesizing anything."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from voxcli.engines.remote.http import Transport
from voxcli.engines.remote.settings import has_version, root_of
from voxcli.errors import RemoteError, RemoteRefused
from voxcli.files import write_atomically
from voxcli.protocols.dialect import HttpCall
from voxcli.protocols.names import Dialect
from voxcli.protocols.openai.servers import Catalog, read_models
from voxcli.protocols.voxcpm.wrappers import Route, find_route

CACHE_SECONDS = 24 * 60 * 60.0
"""How long a detected server is trusted to be the same one."""

OWN_TITLE = "voxcli"
"""Title of voxcli's own servers in their OpenAPI description."""

_DESCRIPTION = HttpCall(method="GET", path="/openapi.json")
_MODEL_PATHS = ("/models", "/audio/models")
_PREFIXES = ("/v1", "")
"""Of OpenAI's paths, below an address without a version."""
_DEEPER_PREFIXES = ("/api/v1", "/openai/v1", "/api")
"""Where gateways and applications have them beside their own pages."""
HEALTH = HttpCall(method="GET", path="/health")
_INVALID_SPEECH = HttpCall(
    method="GET", path="/tts", query={"text": "", "text_lang": "zz", "prompt_lang": "zz", "ref_audio_path": ""}
)
"""GPT-SoVITS rejects this before it does any work."""
_OK, _BAD_REQUEST, _METHOD_NOT_ALLOWED = 200, 400, 405
_KEY_STATUSES = (401, 403)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What was detected about a server."""

    dialect: Dialect
    is_voxcli: bool = False
    """It supports voxcli's extensions of its protocol."""
    version: int = 2
    """Of GPT-SoVITS's API: 1 or 2."""
    base: str = ""
    """Base URL, if it is another than the address that was given."""
    prefix: str = ""
    """Of the paths of OpenAI's protocol, such as "/v1"."""
    route: Route | None = None
    """Of a server with a protocol of its own."""
    catalog: Catalog | None = None
    """Models of a server with OpenAI's protocol; None if it does not list them."""


class ServerCache:
    """Detected servers in a JSON file, by address, with the time of their detection."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def find(self, url: str, now: float) -> Server | None:
        """Return the server at an address, if it was detected recently.

        Args:
            now: seconds since 1970.
        """
        entry = self._read().get(url)
        try:
            if entry and 0 <= now - entry["asked"] < CACHE_SECONDS:
                return _restored(entry["server"])
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
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, json.dumps(known, indent=1).encode())
        except OSError as error:
            _log.debug("cannot write the cache of servers: %s", error)


_INNER: dict[str, type[Any]] = {"catalog": Catalog, "route": Route}


def _restored(known: Mapping[str, Any]) -> Server:
    """Return a server as it was before JSON, which has no tuples and no types."""
    fields: dict[str, Any] = {**known, "dialect": Dialect(known["dialect"])}
    for name, kind in _INNER.items():
        if (inner := fields[name]) is not None:
            fields[name] = kind(**{key: tuple(item) if isinstance(item, list) else item for key, item in inner.items()})
    return Server(**fields)


def detect_server(transport: Transport, base: str) -> Server:
    """Find out which protocol a server speaks. An address that ends with a version means OpenAI's.

    Raises:
        RemoteError: the server cannot be reached, or its protocol is not recognized.
        RemoteRefused: it needs a key.
    """
    if has_version(base):
        return inspect_openai(transport, base)
    described, description = transport.ask(base, _DESCRIPTION)
    if server := read_description(description):
        return inspect_openai(transport, base) if server.dialect is Dialect.OPENAI else server
    statuses: dict[str, int] = {}
    for call, is_recognized in (
        (_models_at("/v1"), _is_openai),
        (HEALTH, _is_voxcpm),
        (_INVALID_SPEECH, _is_gpt_sovits),
    ):
        statuses[call.path], document = transport.ask(base, call)
        if dialect := is_recognized(statuses[call.path], document):
            return inspect_openai(transport, base) if dialect is Dialect.OPENAI else Server(dialect=dialect)
    if statuses["/v1/models"] in _KEY_STATUSES and described not in _KEY_STATUSES:
        return Server(dialect=Dialect.OPENAI, prefix="/v1")  # its list needs a key, which speech may not
    if route := find_route(description):
        return Server(dialect=Dialect.VOXCPM, route=route)
    if server := _find_speech_path(transport, base):
        return server
    _refuse_without_key(base, {described, *statuses.values()})
    raise RemoteError(
        f"{base} responds, but its protocol is not recognized.",
        on_command_line="Name it with --protocol voxcpm, openai or gpt-sovits.",
    )


def _find_speech_path(transport: Transport, base: str) -> Server | None:
    """Look for OpenAI's routes on a server that describes nothing. One exists if only the method is wrong."""
    for prefix in (*_PREFIXES, *_DEEPER_PREFIXES):
        status, _ = transport.ask(base, HttpCall(method="GET", path=f"{prefix}/audio/speech"))
        if status == _METHOD_NOT_ALLOWED or (prefix != "/v1" and _is_openai(*transport.ask(base, _models_at(prefix)))):
            return inspect_openai(transport, base, (prefix,))
    return None


def _models_at(prefix: str) -> HttpCall:
    return HttpCall(method="GET", path=f"{prefix}/models")


def inspect_openai(transport: Transport, base: str, prefixes: tuple[str, ...] | None = None) -> Server:
    """Read which models a server with OpenAI's protocol lists, and below which prefix.

    Args:
        prefixes: to look below; by default those that the address leaves open.
    """
    prefixes = prefixes or (("",) if has_version(base) else _PREFIXES)
    found: Server | None = None
    for prefix, path in product(prefixes, _MODEL_PATHS):
        try:
            status, document = transport.ask(base, HttpCall(method="GET", path=prefix + path))
        except RemoteRefused as error:  # busy; the request for speech may still be served
            _log.debug("%s", error)
            break
        catalog = read_models(document) if status == _OK else None
        if catalog and (catalog.speaking or found is None):
            found = Server(dialect=Dialect.OPENAI, prefix=prefix, catalog=catalog)
        if (catalog and catalog.speaking) or status in _KEY_STATUSES:
            break
    return found or Server(dialect=Dialect.OPENAI, prefix=prefixes[0])


def inspect_server(transport: Transport, base: str, dialect: Dialect) -> Server:
    """Find out the version and the extensions of a server whose protocol is known.

    Raises:
        RemoteError: the server cannot be reached.
        RemoteRefused: it needs a key.
    """
    if dialect is Dialect.OPENAI:
        return inspect_openai(transport, base)
    status, description = transport.ask(root_of(base), _DESCRIPTION)
    _refuse_without_key(base, {status})
    described = read_description(description)
    if described and described.is_voxcli:
        return Server(dialect=dialect, is_voxcli=True)
    return described if described and described.dialect is dialect else Server(dialect=dialect)


def serves_model(transport: Transport, base: str, name: str) -> bool:
    """Whether a server lists a model of this name in OpenAI's list.

    Raises:
        RemoteError: it cannot be reached.
    """
    catalog = read_models(transport.ask(base, _models_at("/v1"))[1])
    return catalog is not None and name in catalog.models


def _refuse_without_key(base: str, statuses: set[int]) -> None:
    if needs_key := statuses.intersection(_KEY_STATUSES):
        status = min(needs_key)
        raise RemoteRefused(
            f"{base} needs a key ({status}).", status, on_command_line=f"Store it with: voxcli keys set {base}"
        )


def read_description(document: Any) -> Server | None:
    """Recognize a server by its OpenAPI description; None if it is not one of the known ones."""
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
    lists_models = status == _OK and bool(document) and read_models(document) is not None
    refuses = status in _KEY_STATUSES and isinstance(document, Mapping) and "error" in document
    return Dialect.OPENAI if lists_models or refuses else None


def _is_voxcpm(status: int, document: Any) -> Dialect | None:
    return Dialect.VOXCPM if isinstance(document, Mapping) and "model_loaded" in document else None


def _is_gpt_sovits(status: int, document: Any) -> Dialect | None:
    message = document.get("message") if isinstance(document, Mapping) else None
    mentions_clip = isinstance(message, str) and "ref_audio_path" in message
    return Dialect.GPT_SOVITS if status == _BAD_REQUEST and mentions_clip else None
