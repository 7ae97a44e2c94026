"""A service of Pipecat in a pipeline of its own."""

import asyncio
from collections.abc import AsyncIterator

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor


class Listener(FrameProcessor):
    def __init__(self, heard: asyncio.Queue[Frame | None]) -> None:
        super().__init__()
        self._heard = heard

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, (TTSAudioRawFrame, TTSStoppedFrame, ErrorFrame)):
            self._heard.put_nowait(frame)
        await self.push_frame(frame, direction)


async def spoken_by(service: FrameProcessor, text: str) -> AsyncIterator[tuple[bytes, int]]:
    heard: asyncio.Queue[Frame | None] = asyncio.Queue()
    pipeline = Pipeline([Listener(heard), service, Listener(heard)])  # errors go up, sound goes down
    task = PipelineTask(pipeline, params=PipelineParams(audio_out_sample_rate=24000))
    await task.queue_frames([TTSSpeakFrame(text)])
    run = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    run.add_done_callback(lambda _: heard.put_nowait(None))
    try:
        while not isinstance(frame := await heard.get(), TTSStoppedFrame | None):
            if isinstance(frame, ErrorFrame):
                raise RuntimeError(frame.error)
            yield frame.audio, frame.sample_rate
    finally:
        await task.queue_frame(InterruptionFrame())  # as when a person speaks in between
        await task.cancel()
        await run
