"""A recording travels to a server of ours once, and is named by its hash from then on."""

import hashlib

import httpx
import numpy as np
import pytest

from tests.clips import spoken_wav
from tests.engines.remote.sounds import remote
from tests.server.running import running
from tests.server.tone import ToneEngine
from voxcli.engines.remote.http import Transport
from voxcli.protocols.names import Dialect
from voxcli.synthesis.request import Clip, Prompt, SynthesisRequest, Voice


def test_a_recording_is_sent_once_and_again_when_the_server_has_dropped_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clip, sent = Clip(spoken_wav(), "anna's voice.wav"), list[int]()
    request = SynthesisRequest(text="Hello.", voice=Voice(prompt=Prompt(clip, "Its words.")))
    send = Transport.send

    def counted(self: Transport, base: str, call: object, **more: object) -> object:
        if call.method == "POST":  # type: ignore[attr-defined]
            sent.append(len(call.files))  # type: ignore[attr-defined]
        return send(self, base, call, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Transport, "send", counted)
    tone = ToneEngine()
    with running(tone) as server:
        engine = remote(server.url, Dialect.VOXCPM)
        for clear in (False, False, True):
            if clear:
                server.service.clips_of_clients._clips.clear()
            sound = np.concatenate([chunk.samples for chunk in engine.stream(request)])
            assert np.array_equal(sound, tone.sound(tone.requests[0]))
        engine.close()
    assert sent == [1, 0, 0, 1]
    assert {request.voice.prompt and request.voice.prompt.clip.data for request in tone.requests} == {clip.data}


def test_nobody_else_finds_it_by_its_hash() -> None:
    data = spoken_wav()
    reference = f"sha256:{hashlib.sha256(data).hexdigest()}"
    with running(ToneEngine(), keys=frozenset({"a", "b"})) as server:

        def ask(key: str, **fields: object) -> httpx.Response:
            headers = {"authorization": f"Bearer {key}"}
            return httpx.post(server.url + "/api/tts", headers=headers, **fields)  # type: ignore[arg-type]

        words = {"text": "Hello.", "prompt_text": "Its words."}
        assert ask("a", data=words, files={"prompt_audio": ("x.wav", data)}).status_code == 200
        assert ask("a", data={**words, "prompt_audio": reference}).status_code == 200
        refused = ask("b", data={**words, "prompt_audio": reference})
        assert (refused.status_code, "Send the clip itself" in refused.text) == (409, True)
