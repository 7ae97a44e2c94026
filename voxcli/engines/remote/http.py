"""HTTP transport: requests to one server, and its failures as voxcli's errors."""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

import httpx

from voxcli.backoff import Backoff, RetryableError, is_retryable, parse_retry_after, with_retries
from voxcli.connections import Proxy, explain_failure, explain_unreached, find_proxy, without_credentials
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused, RemoteTimeout, RemoteUnknown, RequestError
from voxcli.protocols.dialect import HttpCall
from voxcli.version import __version__

_ALSO_RETRYABLE = frozenset({409, *range(506, 1000)})
"""With the common ones, all statuses of server errors but 501 and 505, which a retry does not change."""
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_NOT_READY = (429, 503)
_FROM_PROXIES = (403, 407, 502, 503, 504)
"""Statuses with which a proxy says that it does not reach a server."""
_MOST_REDIRECTS = 5
_SEE_OTHER = 303
_KEEPALIVE_SECONDS = 4.0
"""Below the five seconds after which many servers close an idle connection, perhaps while a request is on its way."""
_ERROR_BYTES = 1 << 16
"""Of an error response; enough for its message."""
_JSON_BYTES = 1 << 24

T = TypeVar("T")


class _Hint(NamedTuple):
    """What to say after the message of a refusal."""

    text: str = ""
    """To every user."""
    on_command_line: str = ""


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
        self._proxy = find_proxy(settings.url)
        self._client = _new_client(settings, self._proxy)
        self._moved: dict[str, str] = {}
        """The base URLs that a server has moved to, by those that it was asked at."""
        self._reached = False
        """A connection has been made before, so that one that fails may be made later."""

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def send(self, base: str, call: HttpCall, *, read_seconds: float | None = None) -> Iterator[httpx.Response]:
        """Send a request and wait for the status and headers, whatever the status. Read the body inside the block.

        Leaving the block before the end of the body closes the connection, so that the server can stop. A redirect on
        the same host is followed; one to elsewhere is returned, since it would be shown the text and the key.

        Args:
            base: the URL that the path of the call is appended to.
            read_seconds: longest time without data; None for that of the settings.

        Raises:
            RetryableError: the server cannot be reached, but may be later.
            RemoteCut: the connection broke in the middle of the body.
            RemoteTimeout: no data arrived in time.
            RemoteError: the request failed in a way that a retry does not change.
        """
        responded = False
        try:
            with ExitStack() as stack:
                response = self._send_to(self._moved.get(base, base), base, call, stack, read_seconds)
                responded = self._reached = True
                yield response
        except httpx.ConnectTimeout as error:
            timed_out = RemoteTimeout(
                f"Cannot reach {self.url}{self._through_proxy()}: it does not answer (timed out while connecting)."
            )
            raise (RetryableError(timed_out) if self._reached else timed_out) from error
        except httpx.TimeoutException as error:
            raise RemoteTimeout(
                f"{self.url}: timed out waiting for a response.",
                on_command_line="Raise the limit with --timeout SECONDS.",
            ) from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.DecodingError, httpx.InvalidURL) as error:
            raise RemoteError(f"Invalid HTTP exchange with {self.url}: {error}.") from error
        except httpx.TransportError as error:
            raise self._connection_error(error, responded=responded) from error

    def _send_to(
        self, target: str, base: str, call: HttpCall, stack: ExitStack, read_seconds: float | None
    ) -> httpx.Response:
        """Send a request and follow redirects on the same host. The stack closes the response."""
        url, usual = target + call.path, self._client.timeout
        limit = httpx.Timeout(read_seconds, connect=usual.connect, pool=None) if read_seconds else usual
        for left in reversed(range(_MOST_REDIRECTS)):
            attempt = stack.enter_context(ExitStack())
            response = attempt.enter_context(
                self._client.stream(
                    call.method,
                    url,
                    params=dict(call.query) or None,
                    json=dict(call.json) if call.json is not None else None,
                    data=dict(call.form) if call.form is not None else None,
                    files={field: (clip.name, clip.data) for field, clip in call.files.items()} or None,
                    timeout=limit,
                )
            )
            moved = _safe_redirect(response, call) if left else None
            if moved is None:
                break
            attempt.close()
            url = moved
            if url.endswith(call.path):
                self._moved[base] = url.removesuffix(call.path)
        return response

    def ask(self, base: str, call: HttpCall, *, read_seconds: float | None = None) -> tuple[int, Any]:
        """Send a request that does not synthesize, and return the status and the JSON document, None if it is not JSON.

        read_seconds: longest time without data; None for that of the settings.

        Raises:
            RemoteError: there is no response.
        """

        def attempt() -> tuple[int, Any]:
            with self.send(base, call, read_seconds=read_seconds) as response:
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

    def refuse(
        self, response: httpx.Response, reason: str, *, on_command_line: str = "", is_unknown: bool = False
    ) -> NoReturn:
        """Raise the error for a response that is not a success.

        Args:
            reason: the server's message.
            on_command_line: what to do next.
            is_unknown: the server has no model or voice of the requested name.

        Raises:
            RetryableError: a retry may succeed.
            RemoteRefused: it would not.
        """
        status, headers = response.status_code, lower_case_headers(response)
        hint = self._hint(response)
        message = f"{self.url} rejected the request ({status}): {reason.rstrip('.')}.{hint.text}"
        kind = RemoteUnknown if is_unknown else RemoteRefused
        wait = parse_retry_after(headers, time.time())
        error = kind(message, status, on_command_line=hint.on_command_line or on_command_line, retry_after=wait)
        if is_retryable(status, headers, _ALSO_RETRYABLE):
            raise RetryableError(error, wait)
        raise error

    def _hint(self, response: httpx.Response) -> _Hint:
        status = response.status_code
        if response.is_redirect:
            return _Hint(
                f" It redirects to {_redirect_target(response)}, which is not followed.",
                on_command_line="Use that address instead.",
            )
        if self._proxy and status in _FROM_PROXIES:
            return _Hint(
                f" The request went through the proxy {self._proxy}, which may have refused it.",
                on_command_line=_PAST_PROXIES,
            )
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            return _Hint(on_command_line=f"Store its key with: voxcli keys set {self.url}")
        return _Hint()

    def _connection_error(self, error: httpx.TransportError, *, responded: bool) -> Exception:
        failure = explain_failure(error, urlsplit(self.url).hostname or "")
        if responded:
            return RemoteCut(f"{self.url} closed the connection in the middle of the response: {failure.reason}.")
        if not isinstance(error, httpx.ConnectError | httpx.ProxyError):
            reason = f"{self.url} closed the connection without a response{self._through_proxy()}: {failure.reason}."
            return RetryableError(RemoteError(reason))
        reason = explain_unreached(error, self.url, self._proxy)
        unreached = RemoteError(
            f"Cannot reach {self.url}{reason}", on_command_line=_PAST_PROXIES if self._proxy else ""
        )
        return RetryableError(unreached) if self._reached and not failure.is_final else unreached

    def _through_proxy(self) -> str:
        return f" through the proxy {self._proxy}" if self._proxy else ""


_PAST_PROXIES = "If the server can be reached without the proxy, add its host to NO_PROXY."


def _safe_redirect(response: httpx.Response, call: HttpCall) -> str | None:
    """Return the URL of a redirect that may be followed; None for any other response.

    It stays on the host and, but for an upgrade to https, on the port. A request with a body is sent again only to a
    path like its own: other redirects of such requests lead to pages, such as one to log in.
    """
    if not response.is_redirect:
        return None
    before, after = response.request.url, response.request.url.join(response.headers["location"])
    upgraded = (before.scheme, after.scheme) == ("http", "https")
    same_origin = (before.scheme, before.port) == (after.scheme, after.port)
    if before.host != after.host or not (same_origin or upgraded) or after.userinfo:
        return None
    keeps_path = after.path.rstrip("/").endswith(call.path.rstrip("/"))
    if call.method != "GET" and not (keeps_path and (response.status_code != _SEE_OTHER)):
        return None
    return str(after.copy_with(query=None, fragment=None) if call.query else after)


def _redirect_target(response: httpx.Response) -> str:
    try:
        return without_credentials(str(response.request.url.join(response.headers.get("location", ""))))
    except httpx.InvalidURL:
        return "an invalid address"


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


def _new_client(settings: RemoteSettings, proxy: Proxy | None) -> httpx.Client:
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
            verify=httpx.create_ssl_context(),  # reads SSL_CERT_FILE
            proxy=proxy.url if proxy else None,
            trust_env=False,  # the proxies of the environment have been read
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        raise RemoteError(f"The settings for proxies or certificates are not valid: {error}.") from error


def _checked_key(key: str) -> str:
    """Refuse a key that httpx would reject with an error message that shows it."""
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise RequestError(
            "The key contains characters that no key has.", on_command_line="Store it again with: voxcli keys set URL"
        )
    return key
