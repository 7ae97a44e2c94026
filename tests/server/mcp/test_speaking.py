"""Speech of agents through the loudspeaker of the machine: queued, followed, stopped."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.server.mcp.agents import ERAS, Loudspeaker, agent, ask, fail, tools
from tests.server.tone import ToneEngine
from voxcli.devices.turns import Turn
from voxcli.errors import DeviceError, ModelError
from voxcli.server.mcp.outputs import Folder
from voxcli.synthesis.request import GpuMemory

pytestmark = pytest.mark.anyio
TEXT = "This is the first sentence. And this is the second one. Here is the third one."


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Loudspeaker:
    speaker = Loudspeaker()
    monkeypatch.setattr("voxcli.server.mcp.tools.Speaker", speaker.open)
    monkeypatch.setattr("voxcli.server.mcp.tools.check_loudspeaker", lambda device: None)
    return speaker


@pytest.fixture
def engine() -> ToneEngine:
    return ToneEngine()


@pytest.fixture
async def client(engine: ToneEngine, tmp_path: Path, speaker: Loudspeaker) -> AsyncIterator[Client]:
    async with tools(engine, tmp_path / "voices", tmp_path / "turns") as toolbox, agent(toolbox) as client:
        yield client


async def test_what_is_said_is_heard_and_its_sentences_are_told(client: Client, speaker: Loudspeaker) -> None:
    said = await ask(client, "speak", text=TEXT)
    told: list[Any] = []

    async def note(*progress: Any) -> None:
        told.append(progress)

    await client.call_tool("await_speech", {"id": said["id"]}, progress_callback=note)
    status = (await ask(client, "speech_status"))["speeches"][0]
    assert status["state"] == "done"
    assert (status["heard_characters"], status["heard_text"]) == (len(TEXT), TEXT)
    assert (status["sentence"], status["sentences"]) == (3, 3)
    assert told == [(number, 3, f"sentence {number} of 3") for number in (1, 2, 3)]
    assert speaker.played == [pytest.approx(status["seconds"])]


async def test_two_agents_never_talk_at_once(engine: ToneEngine, tmp_path: Path, speaker: Loudspeaker) -> None:
    turns = tmp_path / "turns"
    async with AsyncExitStack() as held:
        agents = []
        for number in range(3):
            toolbox = await held.enter_async_context(tools(engine, tmp_path / f"{number}", turns))
            agents.append(await held.enter_async_context(agent(toolbox)))
        for text in ("One, two and three.", "Four, five and six."):
            for client in agents:
                await ask(client, "speak", text=text)
        for client in agents:
            assert (await ask(client, "await_speech"))["state"] == "done"
    assert len(speaker.played) == 6
    assert [path.name for path in turns.iterdir()] == ["speaking.lock"]


async def test_the_queue_tells_how_many_are_before(client: Client, speaker: Loudspeaker) -> None:
    speaker.go.clear()
    first, second, third = [await ask(client, "speak", text=text) for text in ("It is one.", "It is two.", "Three.")]
    assert first["state"] == "speaking"
    assert [(said["state"], said["before"]) for said in (second, third)] == [("queued", 1), ("queued", 2)]
    waited = await ask(client, "await_speech", id=third["id"], timeout_seconds=0.05)
    assert waited["state"] == "queued"
    speaker.go.set()
    assert (await ask(client, "await_speech"))["state"] == "done"


async def test_stopping_tells_what_was_heard(client: Client, speaker: Loudspeaker, engine: ToneEngine) -> None:
    speaker.go.clear()
    first = await ask(client, "speak", text=TEXT)
    queued = await ask(client, "speak", text="This is never heard.")
    stopped = (await ask(client, "stop_speaking"))["stopped"]
    assert [one["id"] for one in stopped] == [first["id"], queued["id"]]
    assert {one["state"] for one in stopped} == {"stopped"}
    assert TEXT.startswith(stopped[0]["heard_text"])
    assert 0 <= stopped[0]["heard_characters"] < len(TEXT)
    assert stopped[1]["heard_characters"] == 0
    assert len(speaker.played) == 1
    assert engine.idle.wait(5)
    assert (await ask(client, "stop_speaking")) == {"stopped": []}


async def test_one_speech_is_stopped_by_its_id(client: Client, speaker: Loudspeaker) -> None:
    speaker.go.clear()
    await ask(client, "speak", text="This is heard.")
    second = await ask(client, "speak", text="This is not.")
    third = await ask(client, "speak", text="This one is.")
    await ask(client, "stop_speaking", id=second["id"])
    speaker.go.set()
    assert (await ask(client, "await_speech", id=third["id"]))["state"] == "done"
    assert len(speaker.played) == 2
    error = await fail(client, "stop_speaking", id="speech-99")
    assert error == "You have no speech 'speech-99'. The newest are: speech-1, speech-2, speech-3."


async def test_an_interruption_takes_the_place_of_what_was_said(client: Client, speaker: Loudspeaker) -> None:
    speaker.go.clear()
    for _ in range(3):
        await ask(client, "speak", text=TEXT)
    said = await ask(client, "speak", text="Stop, look at this.", interrupt=True)
    speaker.go.set()
    assert (await ask(client, "await_speech"))["id"] == said["id"]
    states = [one["state"] for one in (await ask(client, "speech_status"))["speeches"]]
    assert states == ["stopped", "stopped", "stopped", "done"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_cancelled_wait_stops_the_speech(
    engine: ToneEngine, tmp_path: Path, speaker: Loudspeaker, era: str
) -> None:
    async with tools(engine, tmp_path / "voices", tmp_path / "turns") as toolbox, agent(toolbox, era) as client:
        speaker.go.clear()
        await ask(client, "speak", text=TEXT)
        waiting = asyncio.create_task(client.call_tool("await_speech", {}))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await ask(client, "await_speech"))["state"] == "stopped"
    assert speaker.played[0] < 0.5


async def test_a_stale_message_is_dropped(client: Client, tmp_path: Path) -> None:
    with Turn(tmp_path / "turns") as other:
        other.wait()
        await ask(client, "speak", text="This was worth saying a while ago.", max_wait_seconds=0.1)
        error = await fail(client, "await_speech")
    assert error == "Others were still speaking after 0.1 s, so this was not spoken."


async def test_speech_that_fails_says_so(tmp_path: Path, speaker: Loudspeaker) -> None:
    engine = ToneEngine(fail_at=2, error=ModelError("The model broke."))
    async with tools(engine, tmp_path / "voices", tmp_path / "turns") as toolbox, agent(toolbox) as client:
        with pytest.raises(AssertionError, match=re.escape("The model broke.")):
            await ask(client, "speak", text=TEXT)
            await ask(client, "await_speech")
        assert (await ask(client, "speech_status"))["speeches"][0]["error"] == "The model broke."
        assert [path.name for path in (tmp_path / "turns").iterdir()] == ["speaking.lock"]


async def test_without_a_loudspeaker_speaking_fails_at_once(
    client: Client, speaker: Loudspeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(device: str | None) -> None:
        raise DeviceError("There is no loudspeaker.", on_command_line="Write a file with -o FILE.")

    monkeypatch.setattr("voxcli.server.mcp.tools.check_loudspeaker", none)
    assert await fail(client, "speak", text=TEXT) == "There is no loudspeaker."
    assert (await ask(client, "speech_status")) == {"speeches": []}
    speaker.fault = DeviceError("It was unplugged.")
    monkeypatch.setattr("voxcli.server.mcp.tools.check_loudspeaker", lambda device: None)
    with pytest.raises(AssertionError, match="It was unplugged"):
        await ask(client, "speak", text=TEXT)
        await ask(client, "await_speech")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"text": ""}, "The text is empty: there is nothing to say."),
        ({"text": " \n"}, "The text is empty: there is nothing to say."),
        ({"text": "…!"}, "The text has no words: there is nothing to speak."),
        ({}, "'text' is missing."),
        ({"text": 5}, "'text' must be a string, not a number."),
        ({"text": "hi " * 50_000}, "'text' has 150000 characters, more than the 100000 allowed."),
        ({"text": "hi", "voice": "nobody"}, "There is no voice 'nobody'. list_voices tells which there are."),
        ({"text": "hi", "voice": "aloy"}, "There is no voice 'aloy'. Did you mean 'alloy'? list_voices tells"),
        ({"text": "hi", "speed": 9}, "'speed' must lie between 0.25 and 4."),
        ({"text": "hi", "speeed": 1}, "There is no parameter 'speeed'. Did you mean 'speed'?"),
        ({"text": "hi", "max_wait_seconds": -1}, "'max_wait_seconds' must be at least 0."),
        ({"text": "half \ud83d"}, "'text' is not valid Unicode: it holds half of a character."),
    ],
)
async def test_bad_arguments_are_refused_in_words(client: Client, arguments: dict[str, Any], error: str) -> None:
    assert (await fail(client, "speak", **arguments)).startswith(error)
    assert (await ask(client, "speech_status")) == {"speeches": []}


async def test_the_tools_of_the_original_server_answer_as_there(
    engine: ToneEngine, tmp_path: Path, speaker: Loudspeaker
) -> None:
    class Warm:
        loaded = True

        def gpu_memory(self) -> GpuMemory | None:
            return GpuMemory("NVIDIA L40S", 5 << 29, 3 << 30) if self.loaded else None

        def unload(self) -> None:
            self.loaded = False

    (tmp_path / "out").mkdir()
    settings = {"warm": Warm(), "folder": Folder(tmp_path / "out")}
    async with tools(engine, tmp_path / "voices", tmp_path / "turns", **settings) as toolbox, agent(toolbox) as client:
        assert await ask(client, "get_gpu_status") == {
            "status": "success",
            "model_loaded": True,
            "memory_allocated_gb": 2.5,
            "memory_reserved_gb": 3.0,
            "device_name": "NVIDIA L40S",
        }
        unloaded = {"status": "success", "message": "Model offloaded from GPU"}
        assert await ask(client, "offload_model") == unloaded
        assert await ask(client, "get_gpu_status") == {"status": "error", "error": "CUDA not available"}
        every: dict[str, Any] = {"cfg_value": 2.5, "inference_timesteps": 12, "min_len": 3, "max_len": 4096}
        every |= {"normalize": True, "denoise": False, "retry_badcase": True, "retry_badcase_max_times": 3}
        every |= {"retry_badcase_ratio_threshold": 6.0, "output_path": None}
        answer = await ask(client, "text_to_speech", text="Hello.", **every)
        assert set(answer) == {"status", "output_path", "sample_rate"}
        assert re.fullmatch(r"tts_\d+\.wav", Path(answer["output_path"]).name)
        sampling = engine.requests[-1].sampling
        assert (sampling.steps, sampling.guidance, sampling.min_patches, sampling.retries) == (12, 2.5, 3, 2)
        cloned = await ask(client, "voice_cloning", text="Hi.", reference_audio=answer["output_path"], **every)
        assert re.fullmatch(r"clone_\d+\.wav", Path(cloned["output_path"]).name)
        assert engine.requests[-1].voice.reference
        wrong = await client.call_tool("text_to_speech", {"text": "Hi.", "cfg_value": 99})
        assert wrong.structured_content == {"status": "error", "error": "'cfg_value' must lie between 0 and 10."}
        assert toolbox.service.models.loaded  # a wrong argument unloads nothing


async def test_an_unknown_tool_is_named(client: Client) -> None:
    assert await fail(client, "speek") == "There is no tool 'speek'. Did you mean 'speak'?"
