"""Connections to servers: the proxy that a URL goes through, and the reason of a failure in words.

Python's own `urllib.request` finds the proxies, in the environment or in the system's settings.
"""

import errno
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from voxcli.errors import RemoteError

_PROXY_SCHEMES = {
    "http": "http",
    "https": "https",
    "socks5": "socks5",
    "socks5h": "socks5h",
    "socks": "socks5",  # as desktops write it
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the setting that names it."""

    url: str
    """With credentials, if there are any: not for messages."""
    setting: str
    """Such as HTTP_PROXY."""

    def __str__(self) -> str:
        return f"{without_credentials(self.url)} (set in {self.setting})"


def find_proxy(url: str) -> Proxy | None:
    """Return the proxy for a URL; None for a direct connection, as always to this machine.

    NO_PROXY may hold names, which cover the names below them, addresses with or without a port, and networks such as
    10.0.0.0/8.

    Raises:
        RemoteError: the setting is not the address of a proxy.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if is_loopback(host):
        return None
    found = getproxies()
    for name in (parts.scheme, "all"):
        if written := found.get(name):
            if _matches(host, port, found.get("no", "")) or proxy_bypass(f"{host}:{port}"):
                return None
            setting = f"{name.upper()}_PROXY"
            return Proxy(_checked_proxy(written, setting), setting)
    return None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def without_credentials(url: str) -> str:
    """Return a URL for messages, without what may be a password."""
    return re.sub(r"//[^/]*@", "//…@", url)


def _checked_proxy(written: str, setting: str) -> str:
    url = written.strip() if "://" in written else f"http://{written.strip()}"
    try:
        parts = urlsplit(url)
        is_usable = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:
        is_usable, parts = False, urlsplit("")
    scheme = _PROXY_SCHEMES.get(parts.scheme.lower())
    if is_usable and scheme is None:
        raise RemoteError(
            f"The proxy in {setting} has an unknown scheme: {without_credentials(url)}. "
            "Use http, https, socks5 or socks5h, or unset it."
        )
    if not is_usable or scheme is None:
        raise RemoteError(
            f"{setting} is not the address of a proxy: {without_credentials(url)!r}. "
            "Set it to one such as http://HOST:PORT, or unset it."
        )
    return f"{scheme}{url[url.index('://') :]}"


def _matches(host: str, port: int | None, exceptions: str) -> bool:
    """Whether NO_PROXY names a host."""
    for entry in re.split(r"[,\s]+", exceptions.lower()):
        if entry == "*":
            return True
        if "/" in entry:
            with suppress(ValueError):
                if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                    return True
        name, only_port = _split_port(entry)
        name = name.removeprefix("*").lstrip(".")
        if name and only_port in (None, port) and (host == name or host.endswith(f".{name}")):
            return True
    return False


def _split_port(entry: str) -> tuple[str, int | None]:
    if found := re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+):(\d+)", entry):
        port = found[2] or found[4]
        return found[1] or found[3], int(port) if port else None
    return entry, None


@dataclass(frozen=True, slots=True)
class ConnectionProblem:
    """Why no connection was made."""

    reason: str
    """A clause without a full stop."""
    is_final: bool = False
    """Another attempt fails in the same way."""
    advice: str = ""
    """A sentence."""


def explain_unreached(error: BaseException, url: str, proxy: Proxy | None) -> str:
    """Return the end of a sentence that begins with "Cannot reach URL": the proxy, if there is one, and the reason."""
    failure = explain_failure(error, urlsplit(url).hostname or "")
    through = f" through the proxy {proxy}" if proxy else ""
    return f"{through}: {failure.reason}. {failure.advice}".rstrip()


def explain_failure(error: BaseException, host: str) -> ConnectionProblem:
    """Return why a connection to a host failed, from an error of any HTTP library and its causes."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _explain_certificate(cause, host)
        if isinstance(cause, ssl.SSLError):
            return _explain_tls(cause)
        if isinstance(cause, socket.gaierror):
            if cause.errno == socket.EAI_AGAIN:
                return ConnectionProblem(f"the name {host!r} cannot be looked up, because no name server answers")
            return ConnectionProblem(f"there is no host named {host!r}", is_final=True)
        if isinstance(cause, OSError) and (reason := _SYSTEM_REASONS.get(cause.errno or 0)):
            return ConnectionProblem(reason)
    reason = _READABLE.sub("", str(error)).rstrip(".") or type(error).__name__
    return ConnectionProblem(reason[0].lower() + reason[1:])


_READABLE = re.compile(r"^\[(?:Errno|WinError) -?\d+\] ")
_SYSTEM_REASONS = {
    errno.ECONNREFUSED: "nothing listens on that port (connection refused)",
    errno.ENETUNREACH: "this machine has no network that leads there",
    errno.EHOSTUNREACH: "there is no route to that host",
    errno.ETIMEDOUT: "it does not answer (timed out while connecting)",
    errno.ECONNRESET: "it reset the connection",
    errno.EPIPE: "it closed the connection",
}
_CERTIFICATE_REASONS = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "is signed by an unknown authority",
    20: "is signed by an unknown authority",
    62: "belongs to another host",
    64: "belongs to another address",
}
"""By OpenSSL's codes, X509_V_ERR_*."""


def _explain_certificate(error: ssl.SSLCertVerificationError, host: str) -> ConnectionProblem:
    what = _CERTIFICATE_REASONS.get(error.verify_code, f"cannot be verified: {error.verify_message}")
    advice = {
        9: "Check the clocks of both machines.",
        10: "Renew it on the server, or check the clock of this machine.",
        62: f"Use the host name that the certificate is for, not {host!r}.",
        64: f"Use the host name that the certificate is for, not {host!r}.",
    }.get(error.verify_code, "To trust it, set SSL_CERT_FILE to the file of its certificate authority.")
    return ConnectionProblem(f"its certificate is not trusted, because it {what}", is_final=True, advice=advice)


def _explain_tls(error: ssl.SSLError) -> ConnectionProblem:
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
        return ConnectionProblem("it does not speak TLS", is_final=True, advice="Write http:// instead of https://.")
    reason = (error.reason or "unknown reason").replace("_", " ").lower()
    if "EOF" in (error.reason or ""):
        return ConnectionProblem(
            "it closed the connection instead of beginning TLS", is_final=True, advice="Perhaps it needs http://."
        )
    return ConnectionProblem(f"no TLS connection could be made ({reason})", is_final=True)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__
