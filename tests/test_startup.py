"""What a start costs: nothing heavy is loaded before it is needed."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tests.clips import spoken_wav
from voxcli.engines.resident.identity import EngineOrder
from voxcli.engines.resident.registry import READY, Registry
from voxcli.engines.settings import LocalSettings
from voxcli.processes import started_at
from voxcli.synthesis.request import Abilities, Clip, Prompt, Voice
from voxcli.voices import VoiceLibrary

HEAVY = {"torch", "av", "sounddevice", "soundfile", "soxr", "numpy", "httpx", "pydantic", "tomlkit"}
FOR_LATER = {*HEAVY, "huggingface_hub", "asyncio", "filelock", "h11", "fastapi", "rich.console"}
"""What a request to a warm engine does not wait for."""

RUN = """
import json, sys
from voxcli.cli.app import run
code = run(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def loaded_by(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, errors="replace", check=True
    )
    code, modules = json.loads(done.stderr.rpartition("\n")[2])
    assert code == 0, done.stderr
    return set(modules)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["say", "--help"], ["config", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(*arguments) & HEAVY == set()


def test_a_wav_of_the_built_in_voice_loads_neither_codecs_nor_sound_devices(tmp_path: Path) -> None:
    loaded = loaded_by("say", "hello", "-o", str(tmp_path / "x.wav"))
    assert loaded & {"torch", "av", "sounddevice", "soundfile", "soxr", "httpx", "tomlkit"} == set()


def test_wav_on_standard_output_loads_no_codecs() -> None:
    assert loaded_by("say", "hello", "-o", "-", "--format", "pcm") & {"torch", "av", "sounddevice"} == set()


SAY_WARM = """
import json, socket, sys
from voxcli.cli.app import run
loaded = []
send = socket.socket.sendall
def noting(self, data):
    if data.startswith(b"POST /api/tts/stream "):
        loaded.append(sorted(sys.modules))
    send(self, data)
socket.socket.sendall = noting
code = run(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps([code, loaded]))
"""

SAMPLES = np.linspace(-0.5, 0.5, 4000, dtype="<f4")
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: audio/x-f32le; rate=16000\r\ncontent-length: %d\r\n\r\n" % SAMPLES.nbytes


@contextmanager
def warm_engine(model: Path, home: Path) -> Iterator[list[bytes]]:
    """Listen like a resident engine, answer one request, and yield the list that it is put into."""
    order = EngineOrder.of(str(model), model, LocalSettings(), 300.0, os.environ)
    registry = Registry(home / "engines")
    registry.prepare()
    abilities = {**asdict(Abilities()), "tags": [], "phonemes": []}
    card = {"slots": 1, "draws_voices": False, "voice_names": [], "sample_rate": 16000, "abilities": abilities}
    path = registry.new_socket_path(order.key)
    values = {"pid": os.getpid(), "started": started_at(os.getpid()), "state": READY, "model": "tiny", "card": card}
    registry.write(order.key, {**values, "socket": str(path), "identity": order.identity})
    taken: list[bytes] = []

    def answer(listener: socket.socket) -> None:
        with listener.accept()[0] as connection, connection.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            taken.append(stream.read(int(length.partition(b":")[2])))
            connection.sendall(ANSWER + SAMPLES.tobytes())

    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(60)
        listener.bind(str(path))
        listener.listen()
        answering = threading.Thread(target=answer, args=[listener], daemon=True)
        answering.start()
        yield taken
        answering.join()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["hello there"], b"text=hello+there"),
        (["--voice", "Anna", "--steps", "8", "--cfg", "1.5"], b"prompt_audio=sha256%3A"),
        (["hello", "--ref-audio", "clip.wav", "--instruct", "calm", "--language", "en"], b"reference_audio=sha256%3A"),
    ],
    ids=["text", "pipe and voice", "clip"],
)
def test_a_request_to_a_warm_engine_leaves_before_anything_heavy_is_loaded(
    checkpoints: Callable[[str], Path], tmp_path: Path, options: list[str], sent: bytes
) -> None:
    model, file = checkpoints("voxcpm-1.5"), tmp_path / "x.wav"
    (tmp_path / "clip.wav").write_bytes(spoken_wav())
    VoiceLibrary(tmp_path / "voices").save("Anna", Voice(prompt=Prompt(Clip(spoken_wav()), "What is said.")))
    environment = {**os.environ, "VOXCLI_HOME": str(tmp_path), "VOXCLI_KEEP_ALIVE": "5m"}
    with warm_engine(model, tmp_path) as taken:
        done = subprocess.run(
            [sys.executable, "-c", SAY_WARM, "say", *options, "--model", str(model), "-o", str(file)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            input="Hello *there*, and now 3 more words.",
            check=True,
        )
    code, loaded = json.loads(done.stderr.rpartition("\n")[2])
    assert code == 0, done.stderr
    assert sent in taken[0]
    assert len(loaded) == 1
    assert FOR_LATER & set(loaded[0]) == set()
    assert file.stat().st_size > SAMPLES.nbytes // 2


def test_a_resident_engine_loads_no_part_of_the_server_that_it_has_no_use_for() -> None:
    code = "import voxcli.server.resident, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"fastapi", "av", "torch"} & set(done.stdout.split()) == set()
