"""Bodies as clients and shells send them: JSON without a type, empty files, other encodings, and curl's forms."""

import gzip
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.clips import WORDS, spoken_wav
from tests.server.running import Running, running
from tests.server.tone import ToneEngine
from voxcli.engines.espeak.engine import BuiltinEngine
from voxcli.engines.local import LocalEngine, LocalSettings

BODY = b'{"input": "Hello.", "voice": "alloy"}'
SPEECH = "/v1/audio/speech"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ToneEngine()) as server:
        yield server


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_json_is_read_whatever_type_it_came_with(server: Running, kind: str) -> None:
    answer = httpx.post(server.url + SPEECH, content=BODY, headers={"content-type": kind} if kind else {})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "headers", "said"),
    [
        (SPEECH, b'{"input": ', {}, "line 1"),
        (SPEECH, b"[]", {}, "an array"),
        (SPEECH, b"", {}, "empty"),
        (SPEECH, gzip.compress(BODY, mtime=0), {"content-encoding": "gzip"}, "uncompressed"),
        ("/api/tts", json.dumps({"text": "x"}).encode(), {"content-type": "application/json"}, "takes a form"),
        ("/v1/voices/create", b"{}", {"content-type": "application/json"}, "takes a form"),
    ],
)
def test_another_body_is_answered_with_what_to_send(
    server: Running, path: str, body: bytes, headers: dict[str, str], said: str
) -> None:
    answer = httpx.post(server.url + path, content=body, headers=headers)
    assert answer.status_code in (400, 415, 422)
    assert said in answer.text
    assert "Send" in answer.text


def test_text_of_another_charset_is_refused_unless_it_is_stated(server: Running) -> None:
    head = b'--X\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
    body = head + "你好".encode("gbk") + b"\r\n--X--\r\n"
    for charset, status in (("", 422), ("; charset=gbk", 200)):
        headers = {"content-type": f"multipart/form-data; boundary=X{charset}"}
        assert httpx.post(server.url + "/api/tts", content=body, headers=headers).status_code == status


def test_a_file_may_have_an_extended_name_only(server: Running) -> None:
    text = b'--X\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n'
    head = b"--X\r\nContent-Disposition: form-data; name=reference_audio; filename*=UTF-8''%E6%88%91.wav\r\n\r\n"
    headers = {"content-type": "multipart/form-data; boundary=X"}
    body = text + head + spoken_wav() + b"\r\n--X--\r\n"
    assert httpx.post(server.url + "/api/tts", content=body, headers=headers).status_code == 200


def test_the_forms_of_curl_are_read(server: Running, tmp_path: Path) -> None:
    clip = tmp_path / "我.wav"
    clip.write_bytes(spoken_wav())
    created = ["name=我的音色", f"text={WORDS}", f"audio=@{clip}"]
    assert curl(f"{server.url}/v1/voices/create", *created) == "200"
    for path in ("/api/tts", "/api/tts/stream"):
        url = server.url + path
        assert curl(url, "text=你好世界", "inference_timesteps=5") == "200"
        assert curl(url, "text=你好世界", "voice_id=我的音色") == "200"
        assert curl(url, "text=你好世界", f"prompt_audio=@{clip}", f"prompt_text={WORDS}") == "200"
        assert curl(url, "text=x", "prompt_audio=@/dev/null;filename=") == "200"


def test_the_built_in_voice_speaks_for_them_but_imitates_no_clip(tmp_path: Path) -> None:
    clip = tmp_path / "me.wav"
    clip.write_bytes(spoken_wav())
    with running(BuiltinEngine()) as server:
        for path in ("/api/tts", "/api/tts/stream"):
            url = server.url + path
            assert curl(url, "text=你好世界", "inference_timesteps=5") == "200"
            assert curl(url, "text=你好世界", f"prompt_audio=@{clip}", f"prompt_text={WORDS}") == "400"


def curl(url: str, *fields: str) -> str:
    forms = [word for field in fields for word in ("-F", field)]
    command = ["curl", "-s", "--noproxy", "*", "-o", "-", "-w", "\n%{http_code}", *forms, url]
    return subprocess.run(command, capture_output=True, timeout=30, check=True).stdout.rsplit(b"\n", 1)[1].decode()


def test_a_consent_is_registered_listed_and_deleted(server: Running) -> None:
    url = server.url + "/v1/audio/voice_consents"
    fields = {"name": "Anna", "language": "en-US"}
    consent = httpx.post(url, data=fields, files={"recording": ("a.wav", spoken_wav())}).json()
    assert consent["object"] == "audio.voice_consent"
    assert consent in httpx.get(url).json()["data"]
    assert httpx.get(f"{url}/{consent['id']}").json() == consent
    assert httpx.delete(f"{url}/{consent['id']}").json()["deleted"] is True
    assert httpx.delete(f"{url}/{consent['id']}").status_code == 404
    assert httpx.post(url, data=fields, files={"recording": ("a.wav", b"no sound")}).status_code == 400


def test_a_checkpoint_of_voxcpm_speaks_for_the_forms_of_curl(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    clip = tmp_path / "我.wav"
    clip.write_bytes(spoken_wav())
    with running(LocalEngine(checkpoints("voxcpm-1.5"), LocalSettings(dtype="float32", threads=1))) as server:
        assert curl(f"{server.url}/v1/voices/create", "name=我的音色", f"text={WORDS}", f"audio=@{clip}") == "200"
        for path in ("/api/tts", "/api/tts/stream"):
            short = (server.url + path, "text=你好世界", "max_len=4", "inference_timesteps=2")
            assert curl(*short) == "200"
            assert curl(*short, "voice_id=我的音色") == "200"
            assert curl(*short, f"prompt_audio=@{clip}", f"prompt_text={WORDS}") == "200"
