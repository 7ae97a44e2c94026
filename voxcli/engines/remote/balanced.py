"""Several servers as one engine: each text goes to the server with the fewest streams, and dead ones are left out."""

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Generator, Hashable
from contextlib import closing
from itertools import chain, count

from voxcli.audio.chunk import AudioChunk
from voxcli.backoff import Backoff, with_retries
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.remote.members import LEFT_OUT, Member, OpenServer, ServerFailure, failure_of, whole_failure
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import RemoteError, RemoteUnknown, VoxError
from voxcli.synthesis.identity import SERVER, ModelIdentity, identity_of
from voxcli.synthesis.pipeline import Delivery, TakesText, WrittenText
from voxcli.synthesis.request import (
    Abilities,
    LeavesOut,
    Parameter,
    Piece,
    Speech,
    SynthesisRequest,
    abilities_of,
)
from voxcli.synthesis.servers import ServerReport
from voxcli.synthesis.timing import Stopwatch

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 0.5
"""For the other servers to answer, once the first one has."""


class BalancedEngine:
    """Several servers as an `Engine`.

    Those that speak as the first one on the list share the texts. Others are spare: they speak what no server of that
    kind can, because none answers, or none takes such a voice.
    """

    def __init__(self, settings: RemoteSettings, open_server: OpenServer) -> None:
        """Connect to all of them, and wait until the first ones answer.

        Args:
            settings: of the first server, with the others.
            open_server: connects to one of them.

        Raises:
            RemoteError: none of them answers.
        """
        self._retry_delays = settings.retry_delays
        self._members = [Member(each) for each in settings.each_alone()]
        self._changed = threading.Condition()
        self._texts = count(1)
        for member in self._members:
            threading.Thread(
                target=member.watch, args=(open_server, self._note_change), name="server watch", daemon=True
            ).start()
        try:
            self._wait_for_first()
        except BaseException:
            self.close()
            raise
        self._warn()

    @property
    def slots(self) -> int:
        """Of all servers that share the texts."""
        first = self._first.kind
        return sum(member.slots for member in self._usable() if member.kind == first) or 1

    @property
    def draws_voices(self) -> bool:
        engine = self._first.engine
        return engine is not None and engine.draws_voices

    @property
    def abilities(self) -> Abilities:
        """What any of the servers makes use of, and the tags that all of them perform."""
        each = [abilities_of(member.engine) for member in self._members if member.engine]
        return Abilities(
            sampling=any(one.sampling for one in each),
            styles=any(one.styles for one in each),
            clips=any(one.clips for one in each),
            bare_clips=any(one.bare_clips for one in each),
            least_syllables=max(one.least_syllables for one in each),
            tags=frozenset.intersection(*(one.tags for one in each)),
        )

    @property
    def identity(self) -> ModelIdentity:
        """The model of the servers that share the texts."""
        first = self._first
        return identity_of(first.engine, first.name) if first.engine else ModelIdentity(name=SERVER, device=SERVER)

    @property
    def wants_recording(self) -> bool:
        """Whether each request needs a voice with a recording."""
        return isinstance(self._first.engine, RemoteEngine) and self._first.engine.wants_recording

    def servers(self) -> list[ServerReport]:
        first = self._first.kind
        return [
            ServerReport(
                name=member.name,
                model=member.model,
                streams=member.streams,
                slots=member.slots,
                spare=member.problem is None and member.kind != first,
                problem=member.problem,
                failures=member.failures,
            )
            for member in self._members
        ]

    def for_one_text(self) -> "_OneText":
        return _OneText(self, self._retry_delays)

    def stream(self, request: SynthesisRequest) -> Speech:
        with closing(self.for_one_text()) as text:
            yield from text.stream(request)

    def stream_text(self, text: WrittenText, delivery: Delivery, stopwatch: Stopwatch) -> Generator[Piece] | None:
        """Send a text while it is being written; None if the server does not take it, or not in this manner."""
        member = self.take(delivery.request("a"), lambda member: isinstance(member.engine, TakesText))
        if member is None:
            return None
        pieces = member.engine.stream_text(text, delivery, stopwatch) if isinstance(member.engine, TakesText) else None
        if pieces is None:
            self.give_back(member)
            return None
        return self._watched(member, pieces)

    def left_out(self, request: SynthesisRequest) -> frozenset[Parameter]:
        """Return the sampling parameters that the first server leaves out of a request."""
        engine = self._first.engine
        return engine.left_out(request) if isinstance(engine, LeavesOut) else frozenset()

    def knows_voice(self, name: str) -> bool:
        """Whether one of the servers has a voice of that name. Raises RemoteError if none can be asked."""
        error: RemoteError | None = None
        for member in self._usable():
            try:
                if isinstance(member.engine, RemoteEngine) and member.engine.knows_voice(name):
                    return True
            except RemoteError as failed:
                error = failed
        if error:
            raise error
        return False

    def takes_clips(self) -> bool:
        """Whether one of the servers may imitate a recording, as far as they say so."""
        engines = [member.engine for member in self._usable()]
        return any(isinstance(engine, RemoteEngine) and engine.takes_clips() for engine in engines)

    def close(self) -> None:
        for member in self._members:
            member.close()

    def take(self, request: SynthesisRequest, fits: Callable[[Member], bool]) -> Member | None:
        """Choose a server for a request, and count a stream on it until it is given back; None if none fits."""
        with self._changed:
            usable, now = self._usable(), time.monotonic()
            kinds = [member.kind for member in usable]

            def order(member: Member) -> tuple[object, ...]:
                full, rank = member.streams >= member.slots, kinds.index(member.kind)
                busy = member.busy_until > now
                return not member.can_speak(request), rank, busy, full, member.streams, member.used_at

            chosen = min(filter(fits, usable), key=order, default=None)
            if chosen:
                chosen.streams += 1
                chosen.used_at = next(self._texts)
            return chosen

    def give_back(self, member: Member) -> None:
        """End a stream that `take` has counted."""
        with self._changed:
            member.streams -= 1

    def asleep(self) -> list[Member]:
        """Return the servers that are left out."""
        return [member for member in self._members if member.problem]

    @property
    def _first(self) -> Member:
        return next(iter(self._usable()), self._members[0])

    def _usable(self) -> list[Member]:
        return [member for member in self._members if member.problem is None]

    def _note_change(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _wait_for_first(self) -> None:
        def all_checked() -> bool:
            return all(member.checked for member in self._members)

        with self._changed:
            self._changed.wait_for(lambda: all_checked() or bool(self._usable()))
            self._changed.wait_for(all_checked, _GRACE_SECONDS)
            if not self._usable():
                reasons = " ".join(member.problem or "" for member in self._members)
                raise RemoteError(f"None of the servers answers. {reasons}")

    def _warn(self) -> None:
        """Warn of servers that do not share the texts."""
        first = self._first
        for member in self._members:
            if member.problem:
                _log.warning(LEFT_OUT, member.problem)
            elif member.kind != first.kind:
                alone = "%s speaks with another model than %s: it is asked only for what that one cannot speak."
                _log.warning(alone, member.settings.url, first.settings.url)

    def _watched(self, member: Member, pieces: Generator[Piece]) -> Generator[Piece]:
        try:
            with closing(pieces):
                yield from pieces
        except VoxError as error:
            member.note_failure(error)
            raise
        finally:
            self.give_back(member)


class _OneText:
    """An engine for one text: its requests go to one server, and if that fails, to another one of its kind."""

    slots = 1

    def __init__(self, group: BalancedEngine, retry_delays: tuple[float, ...]) -> None:
        self._group = group
        self._retry_delays = retry_delays
        self._member: Member | None = None
        self._kind: Hashable | None = None
        """Of the server that has spoken the text so far; None before the first sound."""

    @property
    def draws_voices(self) -> bool:
        engine = self._member.engine if self._member else None
        return engine.draws_voices if engine else self._group.draws_voices

    @property
    def abilities(self) -> Abilities:
        return self._group.abilities

    def stream(self, request: SynthesisRequest) -> Speech:
        backoff = Backoff(self._retry_delays, random.Random())
        first, rest = with_retries(lambda: self._start(request), backoff)
        with closing(rest):
            try:
                yield from chain([first], rest)
            except VoxError as error:
                if self._member:
                    self._member.note_failure(error)
                raise

    def close(self) -> None:
        member, self._member = self._member, None
        if member:
            self._group.give_back(member)

    def _start(self, request: SynthesisRequest) -> tuple[AudioChunk, Speech]:
        """Return the first chunk and the stream of the others, from the first server that speaks."""
        errors: list[VoxError] = []
        asked: set[Member] = set()
        refused: set[Hashable] = set()
        while member := self._next(request, asked, refused):
            asked.add(member)
            assert member.engine
            speech = member.engine.stream(request)
            try:
                first = next(speech)
            except VoxError as error:
                errors.append(error)
                member.note_failure(error)
                if failure_of(error) is ServerFailure.REFUSED and not isinstance(error, RemoteUnknown):
                    refused.add(member.kind)
                self.close()
                continue
            except BaseException:
                speech.close()
                raise
            self._kind = member.kind
            return first, speech
        raise whole_failure(errors, self._group.asleep())

    def _next(
        self, request: SynthesisRequest, asked: Collection[Member], refused: Collection[Hashable]
    ) -> Member | None:
        """Return the server of this text while it answers, and then another one."""
        if self._member and self._member.problem is None and self._member not in asked:
            return self._member
        self.close()

        def fits(member: Member) -> bool:
            same = self._kind is None or member.kind == self._kind
            return same and member not in asked and member.kind not in refused

        self._member = self._group.take(request, fits)
        return self._member
