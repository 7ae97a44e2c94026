"""One utterance of a speech stream: its text on the way in, and its life from the first text to the last message."""

import asyncio
import logging

from voxcli.errors import ConsumerClosed, VoxError
from voxcli.protocols.dialect import Problem
from voxcli.protocols.speech_stream.config import StreamSettings
from voxcli.protocols.speech_stream.messages import AudioCancelled, SpokenSoFar
from voxcli.server.errors import Refusal, note, problem_of
from voxcli.server.routes.speech_stream.output import SentenceOutput, Session, spoken_text
from voxcli.server.streaming.held_text import HeldText
from voxcli.server.streaming.response import Stalled
from voxcli.server.streaming.utterance import StreamedUtterance, UtteranceSettings
from voxcli.server.streaming.websocket import FAULT

_log = logging.getLogger(__name__)

PROTOCOL = "speech_stream"


class SpokenUtterance:
    """Speaks one utterance after the one before it. Text is taken before it has its slot."""

    def __init__(
        self, session: Session, index: int, settings: StreamSettings, after: "SpokenUtterance | None" = None
    ) -> None:
        self.index = index
        self.is_finished = False
        """Whether its text is complete."""
        self.failed = False
        self._session, self._settings = session, settings
        self._after = after.task if after else None
        self._characters = 0
        self._text = HeldText()
        self._texts: list[str] = []  # since the last flush, if it is spoken as one
        self._cancelled = False
        self._output = SentenceOutput(session, index, settings)
        self.task: asyncio.Task[None] = asyncio.create_task(self._run())

    @property
    def utterance(self) -> StreamedUtterance | None:
        """The utterance, once it has its slot."""
        return self._text.utterance

    @property
    def is_open(self) -> bool:
        """Whether more text can come that is spoken."""
        return not self.is_finished and not self.failed

    def append(self, text: str) -> None:
        """Take more text. After an error, it is passed over. Raises Refusal if it is too much."""
        if self.failed:
            return
        most = self._session.service.settings.max_utterance_characters
        if self._characters + len(text) > most:
            message = f"The text is too long: at most {most} characters are allowed in one utterance."
            raise Refusal(Problem(status=413, message=message, code="text_too_long", field="text"))
        self._characters += len(text)
        if self._settings.splits:
            self._text.append(text)
        else:
            self._texts.append(text)

    def commit(self) -> None:
        """Speak everything so far, and tell when that is done."""
        self._release()
        self._text.flush()

    async def finish(self) -> None:
        """Speak the rest, and tell when that is done."""
        self._release()
        self.is_finished = True
        self._text.finish()
        if self.failed:
            await self._output.end(self.utterance, error=True)

    async def cancel(self, *, by_client: bool = True) -> None:
        """Speak nothing more, and wait until the engine has stopped and the slot is free."""
        self._cancelled = True
        if self.utterance and by_client:
            await self.utterance.cancel()
        else:
            self.task.cancel()
        await asyncio.wait({self.task})

    def cancelled_message(self, reason: str) -> AudioCancelled:
        """Return what the client is told after a cancellation."""
        told = self.utterance is not None and self.utterance.played_samples is not None
        return AudioCancelled(
            utterance_index=self.index,
            sentence_index=self._output.sentence_index,
            reason=reason,
            spoken=spoken_text(self.utterance),
            played=self.played() if told else None,
        )

    def played(self, samples: int | None = None) -> SpokenSoFar:
        """Return what a listener has heard at a position; None for the newest one that the client has told."""
        if samples is None and self.utterance:
            samples = self.utterance.played_samples
        return spoken_text(self.utterance, samples)

    def _release(self) -> None:
        """Pass on the text that was held to be spoken as one."""
        if not self._settings.splits:
            text = "".join(self._texts)
            self._texts.clear()
            self._output.texts.append(text)
            self._text.append(text)

    async def _run(self) -> None:
        socket = self._session.socket
        try:
            with socket.in_use():
                if self._after:
                    await asyncio.wait({self._after})
                await self._speak()
                if self.is_finished and not self._cancelled:
                    await self._output.end(self.utterance, error=self.failed)
        except (ConsumerClosed, Stalled):
            pass  # the task that receives ends as well
        except Exception:  # noqa: BLE001 - the outermost handler of a task
            _log.exception("a fault of voxcli itself")
            await socket.close(FAULT, "Internal server error.")

    async def _speak(self) -> None:
        session, settings = self._session, self._settings
        how = UtteranceSettings(
            delivery=settings.delivery,
            sample_rate=settings.sample_rate,
            markdown=settings.markdown,
            most_characters=session.service.settings.max_utterance_characters,
        )
        try:
            opening = session.service.utterance(PROTOCOL, session.caller, how, described=settings.described)
            async with opening as utterance:
                self._text.release(utterance)
                async for piece in utterance.pieces():
                    await self._output.take(piece, utterance)
                await self._output.finish_sentence(utterance, cancelled=self._cancelled)
        except VoxError as error:
            self.failed = True
            note(error)
            await self._output.fail(problem_of(error), self.utterance)
