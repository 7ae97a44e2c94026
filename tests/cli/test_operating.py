"""`voxcli serve` as those run it who run it for others: HTTPS, a log of requests, traces."""

from pathlib import Path

import pytest

from tests.program import Here
from tests.server.operating.certificates import Authority
from tests.server.running import serving
from tests.server.tone import ToneEngine
from voxcli.server.settings import TlsFiles


def test_say_speaks_through_a_server_whose_authority_is_named_by_the_usual_variable(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    files = TlsFiles(certificate=tmp_path / "one.pem")
    authority.issue(files.certificate)
    sound = str(tmp_path / "x.wav")
    with serving(ToneEngine(), tls=files) as url:
        code, words = here("say", "Hello.", "--remote", url, "-o", sound)
        assert (code, "certificate" in words) == (6, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        code, words = here("say", "Hello.", "--remote", url, "-o", sound)
        assert code == 0, words


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--tls-key", "one.key"], 2, "--tls-cert"),
        (["--tls-cert", "nowhere.pem"], 4, "There is no file nowhere.pem"),
        (["--access-log", "xml"], 2, "text, json"),
    ],
)
def test_what_cannot_be_used_is_said_at_once(here: Here, arguments: list[str], code: int, message: str) -> None:
    found, words = here("serve", "--port", "0", *arguments)
    assert found == code
    assert message in " ".join(words.replace("│", " ").split())
