"""Check of the container images: both targets of the Dockerfile are built, started, asked for speech and stopped.

    python -m tests.deploy.check_image cpu --folder /var/tmp/image

The steps run as root in roots that debootstrap made, see image.py. Mirrors: --build-arg, and pip's own variables.
"""

import argparse
import os
import socket
import sys
import time
from pathlib import Path

import httpx

from tests.checkpoints import write_checkpoint
from tests.deploy.image import Builder, Container, Image, container
from tests.server.raw import SPEECH, asked

_FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Good morning.", "response_format": "wav"}
_LONG = "This sentence is said again and again, until everybody has heard it. " * 4


def main() -> None:
    parser = argparse.ArgumentParser(description="Build and check a target of the Dockerfile.")
    parser.add_argument("target", choices=("cpu", "cuda"))
    parser.add_argument("--folder", type=Path, required=True, help="Where the layers are kept.")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:  # a namespace of its own, whose mounts end with it
        again = [sys.executable, "-m", "tests.deploy.check_image", *sys.argv[1:], "--inside"]
        os.execvp("unshare", ["unshare", "--mount", *again])
    image = Builder(options.folder, dict(one.split("=", 1) for one in options.build_arg)).build(options.target)
    sizes = image.bytes_of_layers()
    print(f"{options.target}: {sum(sizes) / 1e9:.2f} GB = {' + '.join(f'{size / 1e6:.0f}' for size in sizes)} MB")
    check(image, options.folder / "volume")
    print(f"{options.target}: all checks passed")


def check(image: Image, volume: Path) -> None:
    """Run containers of an image as a user would."""
    volume.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environment = {"PORT": port}
    with container(image, volume, environment) as refused:
        assert refused.process
        assert refused.process.wait(60) == 2, "without keys it must not listen everywhere"
    with container(image, volume, environment, "--insecure") as running:
        _check_root(running)
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(running, "the built-in model")
        _check_speech(url)
        running.signal()
        assert running.wait() == 0
    with container(image, volume, {**environment, "VOXCLI_MODEL": "espeak"}, "--insecure") as running:
        _wait_until_healthy(running, "the fastest model")
        _check_drain(running, url)
    write_checkpoint(volume / "tiny", "voxcpm-1.5", seed=3)
    tiny = {**environment, "VOXCLI_MODEL": "/data/tiny", "GPU_IDLE_TIMEOUT": "600"}
    with container(image, volume, tiny, "serve", "--insecure") as running:
        _wait_until_healthy(running, "a tiny VoxCPM")
        assert httpx.get(url + "/v1/models").json()["data"][0]["id"] == "tiny"
        assert httpx.post(url + SPEECH, json=_FIELDS, timeout=120).status_code == 200
        running.signal()
        assert running.wait() == 0


def _check_root(running: Container) -> None:
    assert running.run("id", "-u").stdout.strip() == running.image.user.encode() != b"0"
    assert running.run("touch", "/opt/voxcli/x").returncode != 0
    assert running.run("touch", "/x").returncode != 0
    assert running.run("touch", "/data/x").returncode == 0
    doctor = running.run("voxcli", "doctor")
    assert doctor.returncode == 0, doctor.stdout.decode() + doctor.stderr.decode()
    print(doctor.stdout.decode())


def _wait_until_healthy(running: Container, what: str) -> None:
    began = time.monotonic()
    while not running.is_healthy():
        assert running.process
        assert running.process.poll() is None, "it has ended"
        assert time.monotonic() - began < 300, "it does not become healthy"
        time.sleep(0.2)
    print(f"healthy with {what} after {time.monotonic() - began:.1f} s")


def _check_speech(url: str) -> None:
    began = time.monotonic()
    answer = httpx.post(url + SPEECH, json=_FIELDS, timeout=120)
    assert answer.status_code == 200, answer.text
    assert answer.content[:4] == b"RIFF"
    print(f"{len(answer.content)} bytes of WAV after {time.monotonic() - began:.1f} s")


def _check_drain(running: Container, url: str) -> None:
    with asked(url, input=_LONG, response_format="wav", window=65536) as client:
        client.read(10_000)
        running.signal()
        assert client.read(10**9).endswith(b"0\r\n\r\n"), "the stream was cut off"
        assert running.wait() == 0
    print("stopped after its stream had ended")


if __name__ == "__main__":
    sys.exit(main())
