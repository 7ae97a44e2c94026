"""HTTP transport: requests to one server, and its failures as voxcli's errors."""

import json
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import httpx

from voxcli.backoff import Backoff, RetryableError, is_retryable, parse_retry_after, with_retries
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused, RemoteTimeout, RequestError
from voxcli.protocols.dialect import HttpCall
from voxcli.version import __version__

_ALSO_RETRYABLE = frozenset({409, *range(506, 1000)})
"""With the common ones, all statuses of server errors but 501 and 505, which a retry does not change."""
_UNAUTHORIZED, _FORBIDDEN, _MULTIPLE_CHOICES, _BAD_REQUEST = 401, 403, 300, 400
_NOT_READY = (429, 503)
_KEEPALIVE_SECONDS = 4.0
"""Below the five seconds after which many servers close an idle connection, perhaps while a request is on its way."""
_ERROR_BYTES = 1 << 16
"""Of an error response; enough for its message."""
_JSON_BYTES = 1 << 24

T = TypeVar("T")


class Transport:
    """A pool of connections to one server. May be used from several threads."""

    def __init__(self, settings: RemoteSettings) -> None:
        """
        Raises:
            RequestError: the key has characters that a header cannot carry.
            RemoteError: the environment's settings for proxies or certificates are not valid.
        """
        self.url = settings.url
        self._retry_delays = settings.retry_delays
        self._client = _new_client(settings)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def send(self, base: str, call: HttpCall) -> Iterator[httpx.Response]:
        """Send a request and wait for the status and headers, whatever the status. Read the body inside the block.

        Leaving the block before the end of the body closes the connection, so that the server can stop.

        Args:
            base: the URL that the path of the call is appended to.

        Raises:
            RetryableError: the server cannot be reached, but may be later.
            RemoteCut: the connection broke in the middle of the body.
            RemoteTimeout: no data arrived in time.
            RemoteError: the request failed in a way that a retry does not change.
        """
        responded = False
        try:
            with self._client.stream(
                call.method,
                base + call.path,
                params=dict(call.query) or None,
                json=dict(call.json) if call.json is not None else None,
                data=dict(call.form) if call.form is not None else None,
                files={field: (clip.name, clip.data) for field, clip in call.files.items()} or None,
            ) as response:
                responded = True
                yield response
        except httpx.ConnectTimeout as error:
            raise RetryableError(RemoteTimeout(f"Cannot reach {self.url}: timed out while connecting.")) from error
        except httpx.TimeoutException as error:
            raise RemoteTimeout(
                f"{self.url}: timed out waiting for a response. Raise the limit with --timeout SECONDS."
            ) from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.DecodingError, httpx.InvalidURL) as error:
            raise RemoteError(f"Invalid HTTP exchange with {self.url}: {error}.") from error
        except httpx.TransportError as error:
            raise self._connection_error(error, responded=responded) from error

    def ask(self, base: str, call: HttpCall) -> tuple[int, Any]:
        """Send a request that does not synthesize, and return the status and the JSON document, None if it is not JSON.

        Raises:
            RemoteError: there is no response.
        """

        def attempt() -> tuple[int, Any]:
            with self.send(base, call) as response:
                if response.status_code in _NOT_READY:
                    self.refuse(response, "not ready")
                body = read_start(response, _JSON_BYTES)
            try:
                return response.status_code, json.loads(body)
            except (ValueError, RecursionError):
                return response.status_code, None

        return self.with_retries(attempt)

    def with_retries(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it succeeds or no retry is left.

        Raises:
            VoxError: the error of the last attempt.
        """
        return with_retries(attempt, Backoff(self._retry_delays, random.Random()))

    def refuse(self, response: httpx.Response, reason: str) -> NoReturn:
        """Raise the error for a response that is not a success.

        Args:
            reason: the server's message.

        Raises:
            RetryableError: a retry may succeed.
            RemoteRefused: it would not.
        """
        status, headers = response.status_code, lower_case_headers(response)
        message = f"{self.url} rejected the request ({status}): {reason.rstrip('.')}.{self._hint(response)}"
        error = RemoteRefused(message, status)
        if is_retryable(status, headers, _ALSO_RETRYABLE):
            raise RetryableError(error, parse_retry_after(headers, time.time()))
        raise error

    def _hint(self, response: httpx.Response) -> str:
        status = response.status_code
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            return f" Store its key with: voxcli keys set {self.url}"
        if _MULTIPLE_CHOICES <= status < _BAD_REQUEST:
            return f" It redirects to: {response.headers.get('location', 'nowhere')}"
        return ""

    def _connection_error(self, error: httpx.TransportError, *, responded: bool) -> Exception:
        reason = _reason(error)
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
            return RemoteError(
                f"Cannot reach {self.url}: its certificate is not trusted ({reason}). "
                "To trust it, set SSL_CERT_FILE to the file of its certificate authority."
            )
        if responded:
            return RemoteCut(f"{self.url} closed the connection in the middle of the response: {reason}.")
        if isinstance(error, httpx.ConnectError | httpx.ProxyError):
            return RetryableError(RemoteError(f"Cannot reach {self.url}: {reason}."))
        return RetryableError(RemoteError(f"{self.url} closed the connection without a response: {reason}."))


def read_start(response: httpx.Response, limit: int = _ERROR_BYTES) -> bytes:
    """Read a body until at least `limit` bytes have arrived, or to its end."""
    body = b""
    for data in response.iter_bytes():
        body += data
        if len(body) >= limit:
            break
    return body


def lower_case_headers(response: httpx.Response) -> Mapping[str, str]:
    """Return the headers of a response by their names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


def _new_client(settings: RemoteSettings) -> httpx.Client:
    # No compression: a compressor would hold back the audio in its buffer.
    headers = {"User-Agent": f"voxcli/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    if settings.key:
        headers["Authorization"] = f"Bearer {_checked_key(settings.key)}"
    try:
        return httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds, pool=None),
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=32, keepalive_expiry=_KEEPALIVE_SECONDS
            ),
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        raise RemoteError(f"The settings for proxies or certificates are not valid: {error}.") from error


def _checked_key(key: str) -> str:
    """Refuse a key that httpx would reject with an error message that shows it."""
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise RequestError("The key contains characters that no key has. Store it again with: voxcli keys set URL")
    return key


def _reason(error: httpx.TransportError) -> str:
    """Return what went wrong, without the number that the operating system gives it."""
    reason = re.sub(r"^\[(?:Errno|WinError) -?\d+\] ", "", str(error)) or type(error).__name__
    return reason[0].lower() + reason[1:]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__
