"""Fallback plan: the variants of a request, from the preferred one to those that older servers understand."""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from voxcli.engines.remote.probe import Server
from voxcli.errors import RequestError
from voxcli.protocols.dialect import AnswerForm, ClientOptions, HttpCall
from voxcli.protocols.gptsovits import messages as gptsovits
from voxcli.protocols.names import Dialect
from voxcli.protocols.openai import messages as openai
from voxcli.protocols.voxcpm import messages as voxcpm
from voxcli.protocols.voxcpm import wrappers
from voxcli.protocols.voxcpm.exact import reference_to
from voxcli.synthesis.request import Parameter, Sampling, SynthesisRequest

NOT_FOUND_STATUSES = (404, 405)


class DialectClient(Protocol):
    """The client's side of a protocol, which its `messages` module implements."""

    def to_call(self, request: SynthesisRequest, options: ClientOptions) -> HttpCall: ...

    def answer_form(self, headers: Mapping[str, str], call: HttpCall) -> AnswerForm: ...

    def error_message(self, status: int, body: bytes) -> str: ...


DIALECT_CLIENTS: dict[Dialect, DialectClient] = {
    Dialect.VOXCPM: voxcpm,
    Dialect.OPENAI: openai,
    Dialect.GPT_SOVITS: gptsovits,
}


def without_inexpressible(
    request: SynthesisRequest, to_call: Callable[[SynthesisRequest], object], *, no_fallback: bool = False
) -> tuple[SynthesisRequest, frozenset[Parameter]]:
    """Return a request without the sampling parameters that a protocol cannot express, and which they were.

    Speech is much the same without them, so they do not keep a server from being used.

    Args:
        to_call: builds the call for a request. Raises RequestError if the protocol cannot express it.
        no_fallback: leave nothing out.

    Raises:
        RequestError: it cannot express something else, which would be said wrong or in another voice.
    """
    try:
        to_call(request)
    except RequestError:
        if no_fallback:
            raise
        usual, left_out = Sampling(), set()
        plain = replace(request, sampling=usual)
        to_call(plain)
        changed = {name: value for name, value in _values(request.sampling).items() if value != getattr(usual, name)}
        for name, value in changed.items():
            try:
                to_call(replace(plain, sampling=replace(usual, **{name: value})))
            except RequestError:
                left_out.add(Parameter(name))
        kept = {name: value for name, value in changed.items() if name not in left_out}
        return replace(plain, sampling=replace(usual, **kept)), frozenset(left_out)
    return request, frozenset()


def _values(sampling: Sampling) -> dict[str, Any]:
    return {field.name: getattr(sampling, field.name) for field in fields(sampling)}


class FallbackPlan:
    """Request variants for one synthesis by VoxCPM or GPT-SoVITS, tried in order. `call` is the current one."""

    def __init__(
        self,
        server: Server,
        request: SynthesisRequest,
        options: ClientOptions,
        *,
        no_fallback: bool = False,
        held: Collection[str] = (),
    ) -> None:
        """
        Args:
            held: references to recordings that the server has got before, and perhaps still has.
            no_fallback: never request the whole audio instead of a stream, or anything less than was asked for.

        Raises:
            RequestError: this server does not support the request; the message names the option.
        """
        self._server, self._options, self._no_fallback, self._held = server, options, no_fallback, held
        self._request, self.left_out = without_inexpressible(request, self._call_for, no_fallback=no_fallback)
        """The request, without the parameters that are left out of it."""
        self.call = self._to_call(options)

    def next_after_refusal(self, status: int, body: bytes) -> bool:
        """Switch to the next variant if the server may have refused only this one. Return whether there is one."""
        if self._held and status == HTTPStatus.CONFLICT:
            self._held = ()  # it has dropped a recording
            self.call = self._to_call(self._options)
            return True
        if self._server.dialect is Dialect.VOXCPM and status in NOT_FOUND_STATUSES:
            return self._switch_to_whole()  # VoxCPM's images before 1.0.8 cannot stream
        if self._server.dialect is Dialect.GPT_SOVITS and (older := gptsovits.fallback(self.call, status, body)):
            self.call = older
            return True
        return False

    def next_after_cut(self) -> bool:
        """Switch to the next variant after the connection closed before any audio. Return whether there is one.

        For a stream, such servers send status 200 before they validate the request. For the whole audio, they respond
        with the error.
        """
        return self._switch_to_whole()

    def _switch_to_whole(self) -> bool:
        if self._no_fallback or not self._options.stream or self._server.route:
            return False
        self._options = replace(self._options, stream=False, mode=None)
        try:
            self.call = self._to_call(self._options)
        except RequestError:  # supported only as a stream
            return False
        return True

    def _to_call(self, options: ClientOptions) -> HttpCall:
        return self._call_for(self._request, options)

    def _call_for(self, request: SynthesisRequest, options: ClientOptions | None = None) -> HttpCall:
        server, options = self._server, options or self._options
        if server.route:
            return wrappers.to_call(request, options, server.route)
        if server.dialect is Dialect.GPT_SOVITS and server.version == 1:
            return gptsovits.v1_call(request, options)
        if server.dialect is Dialect.VOXCPM and not server.is_voxcli:
            _refuse_extensions(voxcpm.extensions_used(request, options))
        call = DIALECT_CLIENTS[server.dialect].to_call(request, options)
        return _by_hash(call, self._held) if server.is_voxcli else _with_new_names(call)


def _by_hash(call: HttpCall, held: Collection[str]) -> HttpCall:
    """Name the recordings that the server holds, instead of sending them again."""
    names = {field: reference for field, clip in call.files.items() if (reference := reference_to(clip)) in held}
    files = {field: clip for field, clip in call.files.items() if field not in names}
    return replace(call, form={**(call.form or {}), **names}, files=files) if names else call


def _with_new_names(call: HttpCall) -> HttpCall:
    """Give uploads names that no other upload has: some servers name a file by the second and this name.

    Our own servers keep the names for their messages.
    """
    names = {field: f"{secrets.token_hex(8)}{Path(clip.name).suffix}" for field, clip in call.files.items()}
    return replace(call, files={field: replace(clip, name=names[field]) for field, clip in call.files.items()})


def _refuse_extensions(options: Iterable[str]) -> None:
    """Refuse options that the server would silently ignore."""
    if ignored := ", ".join(options):
        raise RequestError(
            "This server has VoxCPM's protocol without voxcli's extensions, which the request needs.",
            on_command_line=f"Leave out {ignored}.",
        )
