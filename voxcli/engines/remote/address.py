"""The address of a server: as users write it, and of what lies below it."""

import re
from urllib.parse import urlsplit

from voxcli.errors import RequestError

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
