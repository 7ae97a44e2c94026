"""Language model behind OpenAI's API: its answers as they are written, and its failures in words."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from voxcli.connections import Proxy, explain_failure, explain_unreached, find_proxy
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused, RemoteTimeout, RemoteUnknown
from voxcli.protocols.openai.chat import MODELS, ChatMessage, CompletionReader, completion_call, read_models
from voxcli.protocols.openai.errors import error_message
from voxcli.protocols.openai.events import EventFailure
from voxcli.server.settings import LanguageModelSettings
from voxcli.version import __version__

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_PROBE_SECONDS = 10.0
_KEEPALIVE_SECONDS = 4.0
"""Below the five seconds after which many servers close an idle connection, perhaps while a request is on its way."""
_MOST_BYTES = 1 << 20
"""Of a list of models, or of an error."""
_MOST_CHARACTERS = 200_000
"""Of an answer. A model that repeats itself without end would be read aloud for hours."""
_NOT_FOR_CHAT = ("embed", "rerank", "whisper", "tts", "speech", "moderation", "dall-e", "image")
"""Parts of the names of models that write no answers."""
_MOST_LISTED = 10
_CORRECT_ADDRESS = "Start it, or correct its address where this server is started."


class LanguageModel:
    """Writes answers. Used on one event loop."""

    def __init__(self, settings: LanguageModelSettings) -> None:
        """
        Raises:
            RemoteError: the environment's settings for proxies or certificates are not valid.
        """
        self.url = settings.url
        self.model = settings.model
        """Its name; None while it is not known which ones there are."""
        self.models: list[str] = []
        """Those that the server has listed."""
        self._settings = settings
        self._proxy = find_proxy(settings.url)
        self._client = _new_client(settings, self._proxy)

    async def close(self) -> None:
        await self._client.aclose()

    async def start(self) -> None:
        """Ask which models there are. What is wrong is logged: the model may be started later."""
        try:
            await self.find_models()
        except RemoteError as error:
            _log.warning("%s", error.for_command_line)
            return
        if self.model not in self.models:
            _log.warning("%s has no model %r. It has: %s.", self._name, self.model, self._listing())

    async def find_models(self) -> None:
        """Ask which models there are, and choose one if none was.

        Raises:
            RemoteError: there is no answer, or it lists no models.
        """
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                response = await self._client.get(self.url + MODELS.path)
        except TimeoutError:
            raise RemoteTimeout(f"{self._name} did not tell its models within {_PROBE_SECONDS:g} s.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreached(error) from error
        if response.status_code != HTTPStatus.OK:
            raise self._refused(response, response.content[:_MOST_BYTES])
        try:
            self.models = read_models(response.json())
        except (ValueError, RecursionError):
            self.models = []
        if not self.models:
            raise RemoteError(f"{self._name} lists no models. {_IS_IT}")
        if self.model is None:
            self.model = next((name for name in self.models if _may_chat(name)), self.models[0])

    async def answer(self, messages: Sequence[ChatMessage], on_text: Callable[[str], Awaitable[None]]) -> str | None:
        """Write an answer to a conversation. Cancelling stops the model.

        Args:
            on_text: called with each piece of the answer. The model waits for it.

        Returns:
            Why the model has stopped, such as "stop" or "length"; None if it does not say.

        Raises:
            RemoteError: the model cannot be reached, refuses, stops half way or writes nothing.
        """
        if self.model is None:
            with suppress(RemoteError):  # what is wrong is found out below; a server with one model needs no name
                await self.find_models()
        prompt = [ChatMessage(role="system", content=self._settings.prompt)] if self._settings.prompt else []
        call = completion_call(self.model, [*prompt, *messages])
        request = self._client.build_request(call.method, self.url + call.path, json=call.json)
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(self._settings.seconds) as limit:
                response = await self._client.send(request, stream=True)
                return await self._read(response, on_text, limit)
        except TimeoutError:
            raise self._stalled() from None
        except EventFailure as error:
            raise RemoteError(
                f"{self._name} failed while it was answering: {self._masked(str(error))} {_IS_IT}"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreached(error) if response is None else self._cut(error) from error
        finally:
            if response is not None:
                await response.aclose()

    async def _read(
        self, response: httpx.Response, on_text: Callable[[str], Awaitable[None]], limit: asyncio.Timeout
    ) -> str | None:
        """Read an answer. `limit` is put off by whatever the model writes, reasoning included."""
        if response.status_code != HTTPStatus.OK:
            raise self._refused(response, await _start_of(response))
        streamed = "json" not in response.headers.get("content-type", "")
        reader, count = CompletionReader(streamed=streamed), 0

        async def pass_on(text: str) -> None:
            nonlocal count
            if text:
                count += len(text)
                limit.reschedule(None)
                await on_text(text)
            limit.reschedule(asyncio.get_running_loop().time() + self._settings.seconds)

        async for data in response.aiter_bytes():
            for text in reader.feed(data):
                await pass_on(text)
            if count > _MOST_CHARACTERS:
                raise RemoteCut(f"{self._name} was stopped after {_MOST_CHARACTERS} characters of an answer.")
            if reader.ended and streamed:
                break  # some servers leave the connection open
        await pass_on(reader.finish())
        if not streamed:
            reader.ended = True
        self._check_end(reader, count)
        return reader.finish_reason

    def _check_end(self, reader: CompletionReader, count: int) -> None:
        if not reader.ended and (reader.has_events or count):
            raise self._cut()
        if not reader.ended:
            raise RemoteError(f"{self._name} sent something other than an answer. {_IS_IT}")
        if not count:
            raise self.empty_answer(reader.finish_reason)

    def empty_answer(self, reason: str | None) -> RemoteError:
        """Return the error for an answer without any text.

        reason: why the model has stopped, as `answer` returns it.
        """
        why = f" (it stopped because of {reason!r:.40})" if reason else ""
        return RemoteError(
            f"{self._name} wrote an empty answer{why}. Ask again or in other words; a model that only reasoned may "
            "need a higher limit of tokens."
        )

    @property
    def _name(self) -> str:
        return f"The language model at {self.url}"

    def _masked(self, reason: str) -> str:
        """Return what a server says, without the key, which some repeat."""
        key = self._settings.key
        return f"{(reason.replace(key, '…') if key else reason).rstrip('.')}."

    def _refused(self, response: httpx.Response, body: bytes) -> RemoteRefused:
        status = response.status_code
        reason = self._masked(error_message(status, body))
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                refused = "refused the key" if self._settings.key else "needs a key"
                return RemoteRefused(
                    f"{self._name} {refused} ({status}): {reason} Store its key where this server is started.",
                    status,
                    on_command_line=f"Store it with: voxcli keys set {self.url}",
                )
            case HTTPStatus.NOT_FOUND if self.model and "model" in reason.lower():
                listing = f" It has: {self._listing()}." if self.models else ""
                return RemoteUnknown(
                    f"{self._name} has no model {self.model!r} ({status}): {reason}{listing}",
                    status,
                    on_command_line="Choose one with --llm-model NAME.",
                )
            case HTTPStatus.NOT_FOUND:
                return RemoteUnknown(
                    f"{self._name} answers no chats at this address ({status}): {reason} "
                    "Is the address complete, with /v1 at its end?",
                    status,
                )
            case HTTPStatus.TOO_MANY_REQUESTS:
                after = response.headers.get("retry-after", "")
                when = f"in {after} s" if after.isdecimal() else "later"
                return RemoteRefused(
                    f"{self._name} accepts no more requests for now ({status}): {reason} Try again {when}.", status
                )
            case _ if response.is_redirect:
                return RemoteRefused(
                    f"{self._name} redirects elsewhere ({status}), which is not followed: it would be shown the "
                    "conversation and the key. Start this server with the new address.",
                    status,
                )
            case _:
                advice = "Try again, or look into its log." if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
                return RemoteRefused(f"{self._name} failed ({status}): {reason} {advice}".rstrip(), status)

    def _listing(self) -> str:
        more = ", …" if len(self.models) > _MOST_LISTED else ""
        return f"{', '.join(self.models[:_MOST_LISTED])}{more}"

    def _stalled(self) -> RemoteTimeout:
        return RemoteTimeout(
            f"{self._name} has written nothing for {self._settings.seconds:g} s, so it is not waited for any longer. "
            "Try again; a slow model may need more time.",
            on_command_line="Allow more with --llm-timeout SECONDS.",
        )

    def _cut(self, error: Exception | None = None) -> RemoteCut:
        reason = f": {explain_failure(error, urlsplit(self.url).hostname or '').reason}" if error else ""
        return RemoteCut(f"{self._name} stopped in the middle of its answer{reason}. Try again, or look into its log.")

    def _unreached(self, error: Exception) -> RemoteError:
        if isinstance(error, httpx.ConnectTimeout):
            reason = ": it does not answer (timed out while connecting)."
        elif isinstance(error, httpx.ConnectError | httpx.ProxyError):
            reason = explain_unreached(error, self.url, self._proxy)
        else:
            failure = explain_failure(error, urlsplit(self.url).hostname or "")
            return RemoteError(f"{self._name} closed the connection without an answer: {failure.reason}. {_IS_IT}")
        return RemoteError(f"{self._name} cannot be reached{reason} {_CORRECT_ADDRESS}")


_IS_IT = "Is it a server with OpenAI's API?"


def _may_chat(name: str) -> bool:
    return not any(part in name.lower() for part in _NOT_FOR_CHAT)


async def _start_of(response: httpx.Response) -> bytes:
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) >= _MOST_BYTES:
            break
    return body


def _new_client(settings: LanguageModelSettings, proxy: Proxy | None) -> httpx.AsyncClient:
    headers = {"User-Agent": f"voxcli/{__version__}", "Accept-Encoding": "identity"}
    if settings.key:
        headers["Authorization"] = f"Bearer {settings.key}"
    try:
        return httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=_KEEPALIVE_SECONDS),
            verify=httpx.create_ssl_context(),  # reads SSL_CERT_FILE
            proxy=proxy.url if proxy else None,
            trust_env=False,  # the proxies of the environment have been read
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        raise RemoteError(f"The settings for proxies or certificates are not valid: {error}.") from error
