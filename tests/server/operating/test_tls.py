"""HTTPS with a certificate from files."""

import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from tests.refusals import refused
from tests.server.operating.certificates import Authority
from tests.server.raw import SPEECH
from tests.server.running import running, serving
from tests.server.tone import ToneEngine
from voxcli.errors import RequestError
from voxcli.server.operating.tls import Certificate
from voxcli.server.private.sockets import open_private_socket
from voxcli.server.settings import TlsFiles

FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "wav"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


def issuer_and_name(url: str, authority: Authority, *, by_name: bool = True) -> str:
    """Return for whom the certificate of a new connection is."""
    parts = urlsplit(url)
    context = trusting(authority)
    context.check_hostname = by_name
    with (
        socket.create_connection((parts.hostname, parts.port), 10) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname if by_name else None) as encrypted,
    ):
        found = encrypted.getpeercert()
        assert found
        return str(dict(one for group in found["subject"] for one in group)["commonName"])  # type: ignore[misc]


def test_speech_and_web_sockets_are_encrypted_and_the_private_socket_is_not(
    tmp_path: Path, authority: Authority
) -> None:
    files = TlsFiles(certificate=tmp_path / "one.pem")
    authority.issue(files.certificate)
    with (
        closing(open_private_socket(tmp_path / "private")) as private,
        running(ToneEngine(), tls=files, private=private) as server,
    ):
        assert httpx.post(server.url + SPEECH, json=FIELDS, verify=trusting(authority)).content[:4] == b"RIFF"
        with connect(
            server.url.replace("https", "wss") + "/v1/audio/speech/stream", ssl=trusting(authority), proxy=None
        ) as client:
            client.ping().wait(10)
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url + "/livez")  # by an unknown authority
        with pytest.raises(httpx.HTTPError):
            httpx.get(server.url.replace("https", "http") + "/livez")
        through = httpx.HTTPTransport(uds=str(tmp_path / "private"))
        with httpx.Client(transport=through, base_url="http://localhost") as client_here:
            assert client_here.get("/livez").status_code == 200


def test_half_a_connection_and_a_silent_one_end(tmp_path: Path, authority: Authority) -> None:
    files = TlsFiles(certificate=tmp_path / "one.pem")
    authority.issue(files.certificate)
    with serving(ToneEngine(), tls=files, receive_seconds=0.2) as url:
        parts = urlsplit(url)
        with (
            socket.create_connection((parts.hostname, parts.port), 10) as plain,
            trusting(authority).wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
        ):
            assert encrypted.recv(1) == b""
        with socket.create_connection((parts.hostname, parts.port), 10) as plain:
            assert plain.recv(1) == b""


def test_a_renewed_certificate_is_used_from_the_next_connection_on_and_a_broken_one_is_not(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    files = TlsFiles(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    authority.issue(files.certificate, files.key, name="old")
    with serving(ToneEngine(), tls=files) as url, caplog.at_level(logging.WARNING):
        with httpx.Client(base_url=url, verify=trusting(authority)) as client:
            assert client.get("/livez").status_code == 200
            authority.issue(files.certificate, files.key, name="new")
            assert issuer_and_name(url, authority) == "new"
            assert issuer_and_name(url, authority, by_name=False) == "new"
            assert client.get("/livez").status_code == 200
        assert caplog.messages == []
        authority.issue(files.certificate, tmp_path / "of another.pem", name="third")  # its key follows later
        assert issuer_and_name(url, authority) == "new"
        assert issuer_and_name(url, authority) == "new"
        [message] = caplog.messages
        assert "is not that of" in message
        files.certificate.unlink()
        assert issuer_and_name(url, authority) == "new"


def _nothing(folder: Path, authority: Authority) -> None:
    pass


def _no_key(folder: Path, authority: Authority) -> None:
    authority.issue(folder / "cert.pem", folder / "elsewhere.pem")


def _password(folder: Path, authority: Authority) -> None:
    authority.issue(folder / "cert.pem", password=b"secret")


def _no_certificate(folder: Path, authority: Authority) -> None:
    (folder / "cert.pem").write_text("-----BEGIN NOTHING-----\n")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (_nothing, "There is no file"),
        (_no_key, "There is no private key in"),
        (_password, "protected by a password"),
        (_no_certificate, "There is no private key in"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, authority: Authority, prepare: Callable[[Path, Authority], None], message: str
) -> None:
    prepare(tmp_path, authority)
    with refused(message, RequestError):
        Certificate(TlsFiles(certificate=tmp_path / "cert.pem"))


def test_the_key_of_another_certificate_is_named(tmp_path: Path, authority: Authority) -> None:
    authority.issue(tmp_path / "one.pem", tmp_path / "one.key")
    authority.issue(tmp_path / "two.pem", tmp_path / "two.key")
    with refused("is not that of", RequestError):
        Certificate(TlsFiles(certificate=tmp_path / "one.pem", key=tmp_path / "two.key"))
