"""Tools for agents: what each one is called, what it takes, and what it does with a service."""

import asyncio
import base64
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import AudioContent, CallToolResult, TextContent

from voxcli.audio.encode import encoded_whole
from voxcli.audio.format import AudioFormat
from voxcli.devices.portaudio import check_loudspeaker
from voxcli.devices.speaker import Speaker
from voxcli.devices.turns import Turn
from voxcli.errors import NotFound, RequestError, did_you_mean
from voxcli.protocols.dialect import ServerRequest, audio_headers
from voxcli.protocols.fields import shown
from voxcli.server.errors import Refusal
from voxcli.server.mcp.arguments import (
    AwaitArguments,
    FileArguments,
    NoArguments,
    SpeakArguments,
    SpeechIdArguments,
    SpokenArguments,
    TextToSpeechArguments,
    VoiceCloningArguments,
    to_request,
)
from voxcli.server.mcp.outputs import NO_FOLDER, CollectedSound, FileSink, NewFile, read_recording
from voxcli.server.mcp.settings import AgentSettings
from voxcli.server.mcp.speech import Client, SpeechJob, SpeechQueue, SpeechState, count_sentences
from voxcli.server.service import Service
from voxcli.server.streaming.utterance import NO_WORDS
from voxcli.server.utterances import Caller
from voxcli.sinks.base import Sink
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.marking import mark_tags
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.provenance import Provenance
from voxcli.synthesis.request import Clip, Voice
from voxcli.voices.named import DEFAULT, NAMED_VOICES, find_named

Call = ServerRequestContext[Any, Any]

_LOOK_SECONDS = 0.1
"""Between two looks at how far a speech has come."""
_SOON_SECONDS = 0.05
"""In which an error of a speech that was just begun is told with its id."""
_NO_SOUND_HERE = (
    "This server plays no speech for its clients. text_to_speech returns the sound instead, for the client to play."
)


class Toolbox:
    """The tools, with what they need. Used on the event loop."""

    def __init__(self, service: Service, settings: AgentSettings) -> None:
        self.service, self.settings = service, settings
        self._queue = SpeechQueue(service)

    async def close(self) -> None:
        """Stop everything that is being said."""
        await self._queue.close()

    async def speak(self, call: Call, asked: SpeakArguments) -> CallToolResult:
        """Say something through the loudspeaker. Returns at once; what is said is queued behind other agents."""
        request = await self._to_request(asked)
        if not self.settings.plays:
            raise RequestError(_NO_SOUND_HERE)
        if not await self.service.threads.call(partial(count_sentences, asked.text, self.service)):
            raise Refusal(NO_WORDS)
        await self.service.threads.call(partial(check_loudspeaker, self.settings.audio_device))
        client = _client_of(call)
        if asked.interrupt:
            await self._queue.stop(self._queue.of(client))
        job = self._queue.start(
            client, request, self._new_speaker, turn=Turn(self.settings.turns), max_wait=asked.max_wait_seconds
        )
        await _ended(job, _SOON_SECONDS)
        if job.error:
            raise job.error
        return _result(job.describe())

    async def stop_speaking(self, call: Call, asked: SpeechIdArguments) -> CallToolResult:
        """Stop what you are saying and what you have queued. Says how much of it was heard."""
        jobs = [job for job in self._chosen(call, asked.id) if not job.ended.is_set()]
        await self._queue.stop(jobs)
        return _result({"stopped": [job.describe() for job in jobs]})

    async def speech_status(self, call: Call, asked: SpeechIdArguments) -> CallToolResult:
        """Tell what you are saying, what waits, and how much of each text has been heard."""
        return _result({"speeches": [job.describe() for job in self._chosen(call, asked.id)]})

    async def await_speech(self, call: Call, asked: AwaitArguments) -> CallToolResult:
        """Wait until something that you say has been heard. Cancelling this stops the speech."""
        chosen = self._chosen(call, asked.id)
        if not chosen:
            raise NotFound("You have said nothing yet: there is nothing to wait for.")
        job = chosen[-1]
        await self._follow(call, job, asked.timeout_seconds)
        return _result(job.describe())

    async def synthesize_to_file(self, call: Call, asked: FileArguments) -> CallToolResult:
        """Write speech to a file below the folder that the user has chosen."""
        if self.settings.folder is None:
            raise RequestError(NO_FOLDER)
        request = await self._to_request(asked)
        new_file = partial(self.settings.folder.new_file, asked.path, overwrite=asked.overwrite)
        file = await self.service.threads.call(new_file)
        job = await self._write(call, request, file)
        return _result({"path": str(file.path), "sample_rate": job.sample_rate, "seconds": round(job.seconds, 2)})

    async def text_to_speech(self, call: Call, asked: TextToSpeechArguments) -> CallToolResult:
        """Turn a text into a sound file, or into sound in the answer if no folder for files is chosen."""
        return await self._synthesize(call, asked, "tts", None)

    async def voice_cloning(self, call: Call, asked: VoiceCloningArguments) -> CallToolResult:
        """Speak a text in the voice of a recording: to a sound file, or in the answer if no folder is chosen."""
        clip = await self.service.threads.call(lambda: self._read_recording(asked.reference_audio))
        return await self._synthesize(call, asked, "clone", clip)

    async def get_gpu_status(self, call: Call, asked: NoArguments) -> CallToolResult:
        """Tell how much memory of the GPU is in use."""
        models, warm = self.service.models, self.settings.warm
        gpu = await self.service.threads.call(warm.gpu_memory if warm else models.gpu_memory)
        if gpu is None:
            return _result({"status": "error", "error": "CUDA not available"})
        gibibytes = [round(count / 2**30, 2) for count in (gpu.allocated_bytes, gpu.reserved_bytes)]
        found = {"memory_allocated_gb": gibibytes[0], "memory_reserved_gb": gibibytes[1], "device_name": gpu.name}
        return _result({"status": "success", "model_loaded": bool(warm) or models.loaded, **found})

    async def offload_model(self, call: Call, asked: NoArguments) -> CallToolResult:
        """Unload the model, now or after what it is speaking. It is loaded again when it is needed."""
        await self.service.models.offload()
        if self.settings.warm:
            await self.service.threads.call(self.settings.warm.unload)
        return _result({"status": "success", "message": "Model offloaded from GPU"})

    async def list_voices(self, call: Call, asked: NoArguments) -> CallToolResult:
        """List the voices: those of the user, and those of the model."""
        service = self.service
        if not service.models.samples:  # its voices are its own, and it is ready at once
            async with service.models.in_use(service.settings.wait_seconds):
                pass
        return _result({"voices": await service.threads.call(self._voices)})

    def _voices(self) -> list[dict[str, str]]:
        names, library = self.service.choice.names(), self.service.voices
        if self.service.models.samples:
            names += [name for name in NAMED_VOICES if name not in names]
        kept, found = set(library.names()), []
        for name in names:
            own, named = library.describe(name) if name in kept else None, find_named(name)
            description = (own[0].style if own else named.description if named else None) or ""
            found.append({"name": name, "description": description})
        return found

    async def _synthesize(
        self, call: Call, asked: TextToSpeechArguments, name: str, clip: Clip | None
    ) -> CallToolResult:
        folder = self.settings.folder
        if asked.output_path and folder is None:
            raise RequestError(NO_FOLDER)
        request = await self._to_request(asked, clip)
        if folder is None or (asked.format and not asked.output_path):
            return await self._answer(call, request, asked.format or AudioFormat.WAV)
        file = await self.service.threads.call(lambda: folder.new_file(asked.output_path or folder.free_name(name)))
        job = await self._write(call, request, file)
        return _result({"status": "success", "output_path": str(file.path), "sample_rate": job.sample_rate})

    async def _answer(self, call: Call, request: ServerRequest, format: AudioFormat) -> CallToolResult:
        """Return the sound in the answer."""
        sound = CollectedSound()
        job = self._queue.start(_client_of(call), request, lambda start_buffer, check: sound)
        await self._finish(call, job)
        tags = partial(mark_tags, self._provenance(request).model.source_type)
        data = await self.service.threads.call(lambda: encoded_whole(iter(sound.chunks), format, tags))
        kind = audio_headers(format, job.sample_rate)["content-type"]
        audio = AudioContent(type="audio", data=base64.b64encode(data).decode(), mime_type=kind)
        values = {"status": "success", "output_path": None, "sample_rate": job.sample_rate}
        return _result({**values, "seconds": round(job.seconds, 2)}, audio)

    async def _write(self, call: Call, request: ServerRequest, file: NewFile) -> SpeechJob:
        """Write a file, which exists only once it is complete."""
        job = self._queue.start(
            _client_of(call), request, lambda start_buffer, check: FileSink(file, partial(self._provenance, request))
        )
        await self._finish(call, job)
        return job

    def _provenance(self, request: ServerRequest) -> Provenance:
        """Return what makes the sound of a request. The engine speaks it, or has spoken it."""
        models, asked = self.service.models, request.request
        if models.engine:
            return Provenance.of_engine(models.engine, models.name, Delivery.of(asked), asked.text)
        return Provenance.of(Delivery.of(asked), ModelIdentity(name=models.name), asked.text)

    async def _finish(self, call: Call, job: SpeechJob) -> None:
        await self._follow(call, job, None)
        if job.state is SpeechState.STOPPED:
            raise RequestError("The speech was stopped.")

    async def _follow(self, call: Call, job: SpeechJob, seconds: float | None) -> None:
        """Wait for the end of a speech, and report each sentence. If the call is cancelled, the speech is stopped.

        seconds: the longest wait.
        """
        told, now = 0, asyncio.get_running_loop().time
        deadline = None if seconds is None else now() + seconds
        try:
            while True:
                left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - now())
                ended = await _ended(job, max(left, 0.0))
                while told < job.sentence:
                    told += 1
                    message = f"sentence {told} of {job.sentences}"
                    await call.session.report_progress(told, job.sentences, message)
                if ended or (deadline is not None and now() >= deadline):
                    break
        except asyncio.CancelledError:
            job.stop()
            raise
        if job.error:
            raise job.error

    def _chosen(self, call: Call, id: str | None) -> list[SpeechJob]:
        jobs = self._queue.of(_client_of(call))
        if id is None:
            return jobs
        if found := [job for job in jobs if job.id == id]:
            return found
        known = ", ".join(job.id for job in jobs[-5:]) or "none"
        raise NotFound(f"You have no speech {shown(id)}. The newest are: {known}.")

    def _new_speaker(self, start_buffer: Callable[[float], float], check: Callable[[], None]) -> Sink:
        return Speaker(device=self.settings.audio_device, start_buffer=start_buffer, check=check)

    async def _to_request(self, asked: SpokenArguments, clip: Clip | None = None) -> ServerRequest:
        return await self.service.threads.call(
            lambda: to_request(asked, self._find_voice, clip, max_characters=self.settings.max_characters)
        )

    def _find_voice(self, name: str) -> Voice:
        if found := self.service.choice.find(name):
            return found
        if name == DEFAULT:
            return Voice()
        near = did_you_mean(name, [*self.service.choice.names(), *NAMED_VOICES])
        raise NotFound(f"There is no voice {shown(name)}.{near} list_voices tells which there are.")

    def _read_recording(self, path: str) -> Clip:
        folder = self.settings.folder
        if self.settings.own:
            base = folder.path if folder else Path.cwd()
            return read_recording(base / Path(path).expanduser())
        if folder is None:
            raise RequestError("This server reads no recordings from its disk: its operator has chosen no folder.")
        return read_recording(folder.find(path))


def _client_of(call: Call) -> Client:
    """Return who calls: over HTTP by its session, key or address."""
    if call.request is None:
        return Client("", Caller(""))
    caller = Caller.of(call.request)
    return Client(call.request.headers.get("mcp-session-id") or caller.name, caller)


async def _ended(job: SpeechJob, seconds: float) -> bool:
    """Wait for the end of a job, not longer than these seconds, and tell whether it has come."""
    try:
        async with asyncio.timeout(seconds):
            await job.ended.wait()
    except TimeoutError:
        return job.ended.is_set()
    return True


def _result(values: dict[str, Any], *content: AudioContent) -> CallToolResult:
    text = TextContent(type="text", text=json.dumps(values, ensure_ascii=False))
    return CallToolResult(content=[text, *content], structured_content=values)
