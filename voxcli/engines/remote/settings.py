"""Settings of a remote engine: the address of a server, and how it is contacted."""

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from voxcli.errors import RequestError
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.names import Dialect

CONNECT_SECONDS = 5.0
READ_SECONDS = 300.0
"""Long, because the first request may wait while the server loads a model or serves others."""
RETRY_DELAYS = (0.5, 1.0, 2.0)
"""Seconds before each retry."""

_SCHEMES, _WEB_SOCKETS = ("http", "https"), ("ws", "wss")
_SOCKET_FILE = re.compile(r"(?i)(?:http\+)?unix:|[/~]|\.{1,2}/")
_HOST = re.compile(r"(?:[^.:/]{1,63}\.)*[^.:/]{1,63}\.?")
_VERSION = re.compile(r"/v\d+$")
_ENDPOINT = re.compile(
    r"/(?:audio/(?:speech(?:/stream)?|voices|models)|models|voices|chat/completions|"
    r"api/(?:tts(?:/stream)?|voices)|openapi\.json|docs|redoc|health|index\.html)/?$"
)
"""The paths of single routes, which people copy as the address of a server."""
_SHORT_ENDPOINT = re.compile(r"/(?:v1/)?(?:tts(?:/stream)?|generate|speech|api)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """Connection to a server, as the user configured it."""

    url: str
    """Base URL, as `normalized_url` returns it; for OpenAI's protocol with or without /v1."""
    dialect: Dialect | None = None
    """None detects the protocol, without synthesizing anything."""
    key: str | None = field(default=None, repr=False)
    options: ClientOptions = field(default_factory=ClientOptions)
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    """Longest time without data from the server."""
    retry_delays: tuple[float, ...] = RETRY_DELAYS
    """Seconds before each retry; empty for no retries."""
    no_fallback: bool = False
    """Fail if the server does not stream, or cannot be told the sampling, instead of requesting the whole audio, or
    less than was asked for. For measuring."""
    concurrent: bool = False
    """Send requests at once even to servers that mix up concurrent streams. For measuring them."""
    cache: Path | None = None
    """Folder for what was detected about servers; None stores nothing."""
    others: "tuple[RemoteSettings, ...]" = ()
    """Further servers, which share the texts with this one."""

    @property
    def address(self) -> str:
        """The address, or all of them, for messages."""
        return ", ".join(each.url for each in (self, *self.others))

    def each_alone(self) -> "list[RemoteSettings]":
        """Return the settings of every server, of which none is asked twice: another one is there at once."""
        return [replace(each, others=(), retry_delays=()) for each in (self, *self.others)]


def normalized_url(address: str) -> str:
    """Return the base URL of a server in a canonical form. The scheme may be omitted: "box:7861" is enough.

    Raises:
        RequestError: it is not the address of a server, or has credentials, a query or a fragment.
    """
    written = address.strip()
    if _SOCKET_FILE.match(written):
        raise RequestError(
            f"Servers are reached over TCP, not through a file: {_redacted(address)}. Expected http://HOST:PORT."
        )
    with suppress(ValueError):
        written = f"[{ipaddress.IPv6Address(written)}]"
    url = written if "://" in written else f"http://{written}"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if it is not a port
    except ValueError as error:
        raise RequestError(f"Not the address of a server: {_redacted(address)} ({error}).") from error
    host = parts.hostname or ""
    is_host = (":" in host or _HOST.fullmatch(host)) and not parts.netloc.endswith(":")
    if parts.scheme.lower() in _WEB_SOCKETS:
        raise RequestError(f"Servers are asked over HTTP, not WebSockets: write {_redacted('http' + url[2:])}.")
    if parts.scheme.lower() not in _SCHEMES or not is_host or re.search(r"[\s\\]", url):
        raise RequestError(f"Not the address of a server: {_redacted(address)} (expected http://HOST:PORT).")
    if "@" in parts.netloc:
        raise RequestError(
            "Do not put a key or a password into an address.", on_command_line="Store it with: voxcli keys set URL"
        )
    if parts.query or parts.fragment:
        raise RequestError(f"Not the address of a server: {_redacted(address)} (remove the part after ? or #).")
    path = _ENDPOINT.sub("", re.sub("/{2,}", "/", parts.path)).rstrip("/")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{path}"


def root_of(base: str) -> str:
    """Return a base URL without the version of OpenAI's API at its end."""
    return _VERSION.sub("", base)


def has_version(base: str) -> bool:
    """Whether a base URL ends with a version, as that of OpenAI's API does."""
    return root_of(base) != base


def without_endpoint(base: str) -> str:
    """Return a base URL without the path of a single route at its end that may also be a prefix, such as /tts."""
    return _SHORT_ENDPOINT.sub("", base)


def is_openai(url: str) -> bool:
    """Whether a URL is that of OpenAI itself."""
    return (urlsplit(url).hostname or "").endswith("api.openai.com")


def _redacted(address: str) -> str:
    """Return an address for messages, without what may be a password."""
    return repr(re.sub(r"[^/]*@", "…@", address.strip()))
