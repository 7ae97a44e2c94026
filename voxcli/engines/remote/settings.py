"""Which server speaks, and how it is asked."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from voxcli.errors import RequestError
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.names import Dialect

CONNECT_SECONDS = 5.0
READ_SECONDS = 300.0
"""A first request may have to wait until a model is loaded, or others are served."""
WAITS_SECONDS = (0.5, 1.0, 2.0)
"""Before each further try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """What the user asked for."""

    url: str
    """The base of the server, as `normalized_url` writes it; for OpenAI's protocol with /v1 or without."""
    dialect: Dialect | None = None
    """None finds out, without making sound."""
    key: str | None = field(default=None, repr=False)
    options: ClientOptions = field(default_factory=ClientOptions)
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    """The longest silence from the server."""
    waits_seconds: tuple[float, ...] = WAITS_SECONDS
    as_asked: bool = False
    """Fail where a server does not stream, rather than ask it for the whole: for whoever measures streams."""
    cache: Path | None = None
    """The folder for what is known of servers; None remembers nothing."""


_SCHEMES = ("http", "https")
_VERSION = re.compile(r"/v\d+$")


def normalized_url(address: str) -> str:
    """Return the base of a server in one way of writing, whatever the user leaves out: "box:7861" is enough.

    Raises:
        RequestError: it is none, or says more than where the server is.
    """
    written = address.strip()
    url = written if "://" in written else f"http://{written}"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if it is none
    except ValueError as error:
        raise RequestError(f"{_shown(address)} is no address of a server: {error}.") from error
    if parts.scheme.lower() not in _SCHEMES or not parts.hostname or re.search(r"[\s\\]", url):
        raise RequestError(f"{_shown(address)} is no address of a server. Write it like http://box:7861")
    if "@" in parts.netloc:
        raise RequestError("A key or a password does not belong into an address. Keep it with: voxcli keys set URL")
    if parts.query or parts.fragment:
        raise RequestError(f"{_shown(address)} is more than the address of a server: end it before the ? or #.")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def root_of(base: str) -> str:
    """Return where a server has its own pages: the base without the version of its API."""
    return _VERSION.sub("", base)


def has_version(base: str) -> bool:
    """Tell whether a base ends like that of OpenAI's API."""
    return root_of(base) != base


def versioned(base: str) -> str:
    """Return where a server has OpenAI's API."""
    return base if has_version(base) else f"{base}/v1"


def _shown(address: str) -> str:
    """Return an address without what may be a password."""
    return repr(re.sub(r"[^/]*@", "…@", address.strip()))
