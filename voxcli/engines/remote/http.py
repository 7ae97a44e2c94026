"""Calls to one server over HTTP/1.1, and what may go wrong with them, in words."""

import json
import logging
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar

import httpx

import voxcli
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused, RemoteTimeout, RequestError
from voxcli.protocols.dialect import HttpCall

LONGEST_SECONDS = 120.0
"""Who is asked to wait longer is told so instead."""

_FOR_NOW = {408, 409, 425, 429}
_FOR_GOOD = {501, 505}
_FIRST_OF_SERVER = 500


def is_temporary(status: int, headers: Mapping[str, str]) -> bool:
    """Tell whether a server may take an answer back a moment later. What it says of this itself counts more.

    Args:
        headers: by lower-case names. `x-should-retry` is read as OpenAI's own clients do.
    """
    said = headers.get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return status in _FOR_NOW or (status >= _FIRST_OF_SERVER and status not in _FOR_GOOD)


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a server asks to be left alone, if it does.

    Args:
        headers: by lower-case names.
        now: in seconds since 1970, for a server that names a date.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if seconds >= 0:  # nor is NaN
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - now)
    except (KeyError, ValueError):
        return None


class Patience:
    """How often is tried again, and how long is waited before each time."""

    def __init__(self, waits_seconds: Sequence[float], rng: random.Random) -> None:
        self._left = list(waits_seconds)
        self._rng = rng

    def next_wait(self, asked: float | None) -> float | None:
        """Return the seconds until the next try, or None if there shall be no more.

        Clients that were sent away together must not come back together, so no two wait equally long.

        Args:
            asked: the least, as the server says.
        """
        if not self._left or (asked is not None and asked > LONGEST_SECONDS):
            return None
        own = self._left.pop(0)
        return own * self._rng.uniform(0.5, 1) if asked is None else asked + 0.1 * own * self._rng.random()


_UNAUTHORIZED, _FORBIDDEN, _MOVED, _BAD_REQUEST = 401, 403, 300, 400
_IDLE_SECONDS = 4.0
"""Many servers hang up after five, perhaps just as the next request is on its way."""
_LATER = (429, 503)
_BEGINNING = 1 << 16
"""Bytes of an answer that is no sound: enough to see what it says."""
_LONGEST_JSON = 1 << 24

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Trouble(Exception):
    """What went wrong may go right the next time."""

    def __init__(self, error: RemoteError, asked_seconds: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        """What it is if there is no next time."""
        self.asked_seconds = asked_seconds
        """How long the server wants to be left alone."""


class Transport:
    """Keeps connections to a server between calls. May be used from several threads."""

    def __init__(self, settings: RemoteSettings) -> None:
        self.url = settings.url
        self._waits_seconds = settings.waits_seconds
        self._client = _open_client(settings)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def answered(self, base: str, call: HttpCall) -> Iterator[httpx.Response]:
        """Send a call and wait for the head of the answer, whatever it says. The body is read inside.

        Leaving before the end closes the connection at once, so that the server can stop.

        Args:
            base: what the path of the call lies below.

        Raises:
            Trouble: the server cannot be reached for now.
            RemoteCut: it breaks off in the middle of the body.
            RemoteTimeout: it stays silent for too long.
            RemoteError: there is no use in trying again.
        """
        begun = False
        try:
            with self._client.stream(
                call.method,
                base + call.path,
                params=dict(call.query) or None,
                json=dict(call.json) if call.json is not None else None,
                data=dict(call.form) if call.form is not None else None,
                files={field: (clip.name, clip.data) for field, clip in call.files.items()} or None,
            ) as response:
                begun = True
                yield response
        except httpx.ConnectTimeout as error:
            raise Trouble(RemoteTimeout(f"{self.url} does not answer: is it there?")) from error
        except httpx.TimeoutException as error:
            raise RemoteTimeout(
                f"{self.url} stayed silent for too long. --timeout SECONDS lets it take more time."
            ) from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.DecodingError, httpx.InvalidURL) as error:
            raise RemoteError(f"{self.url} cannot be spoken with: {error}.") from error
        except httpx.TransportError as error:
            raise self._trouble(error, begun=begun) from error

    def ask(self, base: str, call: HttpCall) -> tuple[int, Any]:
        """Send a call that makes no sound, and return the status and the JSON of the answer, or None if it is none.

        Raises:
            RemoteError: there is no answer.
        """

        def attempt() -> tuple[int, Any]:
            with self.answered(base, call) as response:
                if response.status_code in _LATER:
                    self.refuse(response, "it is not ready.")
                body = beginning_of(response, _LONGEST_JSON)
            try:
                return response.status_code, json.loads(body)
            except (ValueError, RecursionError):
                return response.status_code, None

        return self.persistently(attempt)

    def persistently(self, attempt: Callable[[], T]) -> T:
        """Try something until there is no use in it any more.

        Raises:
            VoxError: what the last try ended with.
        """
        patience = Patience(self._waits_seconds, random.Random())
        while True:
            try:
                return attempt()
            except Trouble as trouble:
                seconds = patience.next_wait(trouble.asked_seconds)
                if seconds is None:
                    raise trouble.error from trouble
                _log.warning("%s Trying again in %.2g s.", trouble, seconds)
                time.sleep(seconds)

    def refuse(self, response: httpx.Response, said: str) -> NoReturn:
        """Raise what an answer that is no success means.

        Args:
            said: by the server, about why.

        Raises:
            Trouble: it may be another answer a moment later.
            RemoteRefused: it will not.
        """
        status, headers = response.status_code, lower_case(response)
        error = RemoteRefused(f"{self.url} says no ({status}): {said.rstrip('.')}.{self._advice(response)}", status)
        if is_temporary(status, headers):
            raise Trouble(error, asked_wait(headers, time.time()))
        raise error

    def _advice(self, response: httpx.Response) -> str:
        status = response.status_code
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            return f" Keep its key with: voxcli keys set {self.url}"
        if _MOVED <= status < _BAD_REQUEST:
            return f" It names another address: {response.headers.get('location', 'none')}"
        return ""

    def _trouble(self, error: httpx.TransportError, *, begun: bool) -> Exception:
        reason = str(error) or type(error).__name__
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
            return RemoteError(
                f"{self.url} shows a certificate that is not trusted: {reason}. "
                "If you trust it, name the file with its authority in SSL_CERT_FILE."
            )
        if begun:
            return RemoteCut(f"{self.url} broke off in the middle: {reason}.")
        if isinstance(error, httpx.ConnectError | httpx.ProxyError):
            return Trouble(RemoteError(f"{self.url} cannot be reached: {reason}."))
        return Trouble(RemoteError(f"{self.url} hung up without an answer: {reason}."))


def beginning_of(response: httpx.Response, most: int = _BEGINNING) -> bytes:
    """Read as much of an answer as tells what it says."""
    body = b""
    for data in response.iter_bytes():
        body += data
        if len(body) >= most:
            break
    return body


def lower_case(response: httpx.Response) -> Mapping[str, str]:
    """Return the headers of an answer by lower-case names."""
    return {name.lower(): value for name, value in response.headers.items()}


def _open_client(settings: RemoteSettings) -> httpx.Client:
    # What is compressed on the way comes later than the sound in it.
    headers = {"User-Agent": f"voxcli/{voxcli.__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    if settings.key:
        headers["Authorization"] = f"Bearer {_checked(settings.key)}"
    try:
        return httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=_IDLE_SECONDS),
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        raise RemoteError(f"The settings for proxies or certificates cannot be used: {error}.") from error


def _checked(key: str) -> str:
    """Refuse what would be shown in an error message if it were sent."""
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise RequestError("The key holds characters that no key has. Keep it anew with: voxcli keys set URL")
    return key


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__
