"""How a server is asked: in the words of its dialect, and otherwise if it does not understand them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from voxcli.engines.remote.probe import Server
from voxcli.errors import RequestError
from voxcli.protocols.dialect import AnswerForm, ClientOptions, HttpCall
from voxcli.protocols.gptsovits import messages as gptsovits
from voxcli.protocols.names import Dialect
from voxcli.protocols.openai import messages as openai
from voxcli.protocols.voxcpm import messages as voxcpm
from voxcli.synthesis.request import SynthesisRequest

_NOT_THERE = (404, 405)


class Words(Protocol):
    """What the module of a dialect does for a client."""

    def to_call(self, request: SynthesisRequest, options: ClientOptions) -> HttpCall: ...

    def answer_form(self, headers: Mapping[str, str], call: HttpCall) -> AnswerForm: ...

    def error_message(self, status: int, body: bytes) -> str: ...


WORDS: dict[Dialect, Words] = {Dialect.VOXCPM: voxcpm, Dialect.OPENAI: openai, Dialect.GPT_SOVITS: gptsovits}


class Ways:
    """The ways to ask one server for one speech, the best first. Each is tried until something speaks against it."""

    def __init__(
        self, server: Server, request: SynthesisRequest, options: ClientOptions, *, as_asked: bool = False
    ) -> None:
        """Choose the first.

        Args:
            as_asked: never ask for the whole in the place of a stream.

        Raises:
            RequestError: this server cannot be asked for that; with the name of the option.
        """
        self._server, self._request, self._options, self._as_asked = server, request, options, as_asked
        self.call = self._to_call(options)

    def after_refusal(self, status: int, body: bytes) -> bool:
        """Change to another way if this one may be what a server has refused. Return whether there is one."""
        if self._server.dialect is Dialect.VOXCPM and status in _NOT_THERE:
            return self._ask_for_the_whole()  # as images before 1.0.8 stream nothing
        if self._server.dialect is Dialect.GPT_SOVITS and (older := gptsovits.fallback(self.call, status, body)):
            self.call = older
            return True
        return False

    def after_silence(self) -> bool:
        """Change to another way if a server has broken off before any sound. Return whether there is one.

        Asked to stream, such servers say that all is well before they look at the request. Asked for the whole, they
        tell what is wrong with it.
        """
        return self._server.dialect is not Dialect.OPENAI and self._ask_for_the_whole()

    def _ask_for_the_whole(self) -> bool:
        if self._as_asked or not self._options.stream:
            return False
        self._options = replace(self._options, stream=False, mode=None)
        try:
            self.call = self._to_call(self._options)
        except RequestError:  # only as a stream it can be asked for
            return False
        return True

    def _to_call(self, options: ClientOptions) -> HttpCall:
        server = self._server
        if server.dialect is Dialect.GPT_SOVITS and server.version == 1:
            return gptsovits.v1_call(self._request, options)
        if server.dialect is Dialect.VOXCPM and not server.is_voxcli:
            _refuse_unheard(voxcpm.extensions_used(self._request, options))
        return WORDS[server.dialect].to_call(self._request, options)


def _refuse_unheard(options: Iterable[str]) -> None:
    """Refuse what a server would pass over without a word."""
    if unheard := ", ".join(options):
        raise RequestError(f"This server speaks VoxCPM's protocol, but it is not voxcli's own. Leave out {unheard}.")
