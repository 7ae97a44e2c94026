"""Identification of a server: from the cache, or by asking it; anew when it refuses what it accepted before."""

import logging
import time
from dataclasses import replace

from pydantic import ValidationError

from voxcli.engines.remote.http import Transport
from voxcli.engines.remote.probe import HEALTH, Server, ServerCache, detect_server, inspect_server
from voxcli.engines.remote.settings import RemoteSettings, has_version, root_of, without_endpoint
from voxcli.errors import RemoteError, RequestError
from voxcli.protocols.names import Dialect
from voxcli.protocols.voxcpm.engines import ServerState

_log = logging.getLogger(__name__)


class Identification:
    """What is known of the server at one address."""

    def __init__(self, transport: Transport, settings: RemoteSettings) -> None:
        self._transport, self._settings = transport, settings
        self._cache = ServerCache(settings.cache / "servers.json") if settings.cache else None
        # The address, and the protocol if the user chose one, on which the result depends.
        self._cache_key = f"{settings.dialect or 'auto'} {settings.url}"
        self._is_cached = False

    def identify(self) -> Server:
        """Return the server from the cache, or detect it.

        Raises:
            RemoteError: it cannot be reached, or its protocol is not recognized.
            RequestError: its protocol has nothing to ask for but speech.
        """
        if self._settings.dialect is Dialect.REALTIME:
            raise RequestError(
                "The Realtime API only speaks here: it lists no voices, takes no recordings, and is not measured."
            )
        if self._cache and (known := self._cache.find(self._cache_key, time.time())):
            self._is_cached = True
            return known
        server = self._detect()
        if self._cache:
            self._cache.keep(self._cache_key, server, time.time())
        return server

    def identify_again(self, known: Server) -> Server | None:
        """Detect a server anew that came from the cache; None if there is nothing new.

        Raises:
            RemoteError: it cannot be reached, or its protocol is not recognized.
        """
        if not self._is_cached:
            return None
        self._is_cached = False
        self.forget()
        server = self.identify()
        return server if server != known and server.dialect is known.dialect else None

    def forget(self) -> None:
        """Remove the server from the cache: perhaps another one runs there now."""
        if self._cache:
            self._cache.forget(self._cache_key)

    def read_state(self, server: Server, read_seconds: float | None = None) -> ServerState | None:
        """Ask a server for its state in its own protocol; None if it is none of ours, or tells it otherwise.

        read_seconds: for the answer; None waits as long as for speech.

        Raises:
            RemoteError: it cannot be reached.
        """
        base = root_of(server.base or self._settings.url)
        _, document = self._transport.ask(base, HEALTH, read_seconds=read_seconds)
        if not server.is_voxcli or server.dialect is not Dialect.VOXCPM:
            return None
        try:
            return ServerState.model_validate(document)
        except ValidationError as error:
            _log.debug("%s describes its state otherwise: %s", self._settings.url, error)
            return None

    def _detect(self) -> Server:
        url, dialect, transport = self._settings.url, self._settings.dialect, self._transport
        if dialect is Dialect.OPENAI:
            try:
                server = inspect_server(transport, url, dialect)
            except RemoteError as error:  # the request itself tells
                _log.debug("%s", error)
                return Server(dialect=dialect, prefix="" if has_version(url) else "/v1")
        else:
            server = inspect_server(transport, url, dialect) if dialect else self._recognize(url)
        _log.debug("detected at %s: %s", url, server)
        return server

    def _recognize(self, url: str) -> Server:
        """Detect a server whose protocol is not known, at the address or at that without the path of a route."""
        try:
            return detect_server(self._transport, url)
        except RemoteError:
            if (shorter := without_endpoint(url)) == url:
                raise
            try:
                return replace(detect_server(self._transport, shorter), base=shorter)
            except RemoteError as error:
                _log.debug("%s", error)
            raise
