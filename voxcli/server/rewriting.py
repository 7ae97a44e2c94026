"""Rewriting of requests before anything else sees them: spellings of paths, prefixes, HEAD, and clients of proxies."""

import ipaddress
import re
from collections.abc import Iterable
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from voxcli.server.errors import REQUESTS
from voxcli.server.settings import ServerSettings

PREFIX = "prefix"
"""Key of the request state: the path below which a proxy offers this server, without a slash at the end, or empty."""

ANY_PROXY = "*"

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_SPEECH = "/audio/speech"
_VERSION = "/v1"
_WITHOUT_VERSION = re.compile(r"/(audio|models|voices)(/|$)")
_VERSION_TWICE = re.compile(r"(/v1)+(?=/v1(/|$))")
_SLASHES = re.compile(r"/{2,}")
_SPEAKS_BY_GET = "/tts"
_VALID_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


class Rewriting:
    """Passes on every request as if its client had spelled the path as it is documented and were connected directly.

    A base URL is entered with and without `/v1` or a slash at the end, or as the whole address of the speech route.
    None of these is redirected: redirects lose the body or lead past a proxy.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._prefix = settings.root_path.rstrip("/")
        self._proxies = _Proxies(settings.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(self._rewritten(scope) if scope["type"] in REQUESTS else scope, receive, send)

    def _rewritten(self, scope: Scope) -> Scope:
        prefix, client = self._prefix, scope.get("client")
        if client and self._proxies.are_trusted(client[0]):
            headers = Headers(scope=scope)
            prefix = prefix or _forwarded_prefix(headers)
            client = (self._proxies.client_address(headers, client[0]), 0)
        path = _canonical(_without_prefix(scope["path"], prefix))
        # Servers leave the body out, because they know the method.
        if scope.get("method") == "HEAD" and path != _SPEAKS_BY_GET:
            scope = {**scope, "method": "GET"}
        state = {**scope.get("state", {}), PREFIX: prefix}
        return {**scope, "path": path, "client": client, "state": state}


def _canonical(path: str) -> str:
    """Return the documented spelling of a path."""
    path = _SLASHES.sub("/", path).rstrip("/") or "/"
    path = _VERSION_TWICE.sub("", path)
    if path.endswith(_SPEECH):
        return _VERSION + _SPEECH
    return _VERSION + path if _WITHOUT_VERSION.match(path) else path


def _without_prefix(path: str, prefix: str) -> str:
    """Remove the prefix, which some proxies remove themselves."""
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        return path[len(prefix) :] or "/"
    return path


def _forwarded_prefix(headers: Headers) -> str:
    prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
    return prefix if _VALID_PREFIX.fullmatch(prefix) else ""


class _Proxies:
    """Proxies that are trusted to tell who their clients are."""

    def __init__(self, proxies: Iterable[str]) -> None:
        names = set(proxies)
        self._any = ANY_PROXY in names
        self._networks = [ipaddress.ip_network(name, strict=False) for name in names - {ANY_PROXY}]

    def are_trusted(self, address: str) -> bool:
        """Tell whether a connection from this address is a trusted proxy's."""
        return self._any or self._contain(_address_in(address))

    def client_address(self, headers: Headers, proxy: str) -> str:
        """Return the address that connected to the outermost trusted proxy.

        Every proxy appends the address it sees to what it was sent. So the list is read from its end: what stands
        before the first address that is no trusted proxy could have been made up by the client.
        """
        forwarded = ",".join(headers.getlist("x-forwarded-for")) or headers.get("x-real-ip", "")
        found = proxy
        for text in reversed(forwarded.split(",")):
            address = _address_in(text)
            if address is None:
                break
            found = str(address)
            if not self._contain(address):
                break
        return found

    def _contain(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _address_in(text: str) -> Address | None:
    """Read an address, with or without a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket that takes both kinds of connections shows IPv4 addresses in IPv6.
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
