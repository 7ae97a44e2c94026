"""Text on its way to an utterance that may have no slot yet, for protocols that take it before that."""

from collections.abc import Callable

from voxcli.server.streaming.utterance import StreamedUtterance


class HeldText:
    """Text on its way to an utterance, which may have to wait for its slot: what comes before that is held."""

    def __init__(self) -> None:
        self.utterance: StreamedUtterance | None = None
        """Once it has its slot."""
        self._held: list[Callable[[StreamedUtterance], object]] = []

    def append(self, text: str) -> None:
        """Take more text; see `StreamedUtterance.append`."""
        self._pass_on(lambda utterance: utterance.append(text))

    def flush(self) -> None:
        """Speak everything so far."""
        self._pass_on(StreamedUtterance.flush)

    def finish(self) -> None:
        """Note that no more text comes."""
        self._pass_on(StreamedUtterance.finish)

    def release(self, utterance: StreamedUtterance) -> None:
        """Pass on what is held, and all that follows."""
        self.utterance = utterance
        held, self._held = self._held, []
        for call in held:
            call(utterance)

    def _pass_on(self, call: Callable[[StreamedUtterance], object]) -> None:
        if self.utterance is None:
            self._held.append(call)
        else:
            call(self.utterance)
