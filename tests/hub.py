"""A hub on loopback with the APIs of Hugging Face and ModelScope, a log of requests, and faults on demand."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE_BYTES = 20_000
"""Files of at least this size are stored in LFS."""

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client."""

    path: str
    range: str | None
    token: str | None


@dataclass
class Hub:
    """Content and behaviour of the hub. Both may change while it runs."""

    model_id: str
    files: dict[str, bytes]
    commit: str = "c0ffee" * 6 + "c0ff"
    gated: bool = False
    token: str | None = None
    """If set, requests without it are rejected."""
    status: int | None = None
    """If set, the status of every response."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with that status."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Reported instead of the real sizes."""
    cut_at: dict[str, int] = field(default_factory=dict)
    """The connection breaks after this many bytes of a file, and further requests for it fail."""
    hold_at: dict[str, int] = field(default_factory=dict)
    """The response stalls after this many bytes of a file."""
    damaged: set[str] = field(default_factory=set)
    listing: bytes | None = None
    """If set, returned instead of the real listing."""
    knows_ranges: bool = True
    log: list[Request] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    """Set when a response has stalled at `hold_at`."""
    ended: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def asked_for(self, name: str) -> list[Request]:
        """List the requests for the content of a file."""
        return [request for request in self.log if request.path.endswith("/" + name)]

    def digest_of(self, name: str) -> str:
        data = self.files[name]
        return hashlib.sha256(data).hexdigest() if len(data) >= LARGE_BYTES else git_digest(data)


def git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def do_GET(self) -> None:
        hub, address = self.hub, urlsplit(self.path)
        path, query = unquote(address.path), parse_qs(address.query)
        name = query["FilePath"][0] if "FilePath" in query else path
        shown = f"{path}/{name}" if "FilePath" in query else path
        hub.log.append(Request(shown, self.headers.get("Range"), self.headers.get("Authorization")))
        if hub.status:
            self._answer(hub.status, b"no", hub.headers)
        elif hub.token and path.startswith("/api") and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif path.startswith("/api/") and hub.listing is not None:
            self._answer(200, hub.listing, {"Content-Type": "application/json"})
        elif path.startswith("/api/v1/models/"):
            self._modelscope(path.removeprefix("/api/v1/models/"), query)
        elif path.startswith("/api/models/"):
            self._hugging_face(path.removeprefix("/api/models/"))
        elif path.startswith((f"/{hub.model_id}/resolve/{hub.commit}/", f"/{hub.model_id}/resolve/main/")):
            self._resolve(path.split("/resolve/")[1].partition("/")[2])
        elif path.startswith("/cdn/"):
            self._content(path.removeprefix("/cdn/"))
        else:
            self._answer(404, b"")

    def do_HEAD(self) -> None:
        """Answer what the Hugging Face library requests before a download."""
        name = self.path.rpartition("/")[2]
        self.send_response(200)
        for header, value in {
            "X-Repo-Commit": self.hub.commit,
            "ETag": f'"{self.hub.digest_of(name)}"',
            "Content-Length": str(len(self.hub.files[name])),
        }.items():
            self.send_header(header, value)
        self.end_headers()

    def _hugging_face(self, path: str) -> None:
        hub = self.hub
        if path == f"{hub.model_id}/auth-check":
            allowed = self.headers.get("Authorization") == "Bearer allowed"
            self._answer(200 if allowed else 403, b"{}", {} if allowed else {"X-Error-Code": "GatedRepo"})
        elif path in (f"{hub.model_id}/revision/main", f"{hub.model_id}/revision/{hub.commit}"):
            siblings = [self._sibling(name) for name in hub.files]
            self._json({"id": hub.model_id, "sha": hub.commit, "gated": hub.gated, "siblings": siblings})
        elif path.startswith(f"{hub.model_id}/revision/"):
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _sibling(self, name: str) -> dict[str, Any]:
        data = self.hub.files[name]
        size = self.hub.sizes.get(name, len(data))
        sibling: dict[str, Any] = {"rfilename": name, "size": size, "blobId": git_digest(data)}
        if len(data) >= LARGE_BYTES:
            sibling["lfs"] = {"sha256": self.hub.digest_of(name), "size": size, "pointerSize": 135}
        return sibling

    def _resolve(self, name: str) -> None:
        """Send small files, and redirect to another host for those in LFS."""
        if len(self.hub.files[name]) < LARGE_BYTES:
            self._content(name)
        else:
            self._answer(302, b"", {"Location": f"{self.hub.url.replace('127.0.0.1', 'localhost')}/cdn/{name}"})

    def _modelscope(self, path: str, query: Mapping[str, list[str]]) -> None:
        hub = self.hub
        if not path.startswith(hub.model_id) or query["Revision"] != ["master"]:
            self._json({"Code": 10010205001, "Success": False, "Message": "not found"}, 404)
        elif path.endswith("/repo/files"):
            folder = {"Path": "assets", "Type": "tree", "Size": 0, "Sha256": ""}
            entries = [self._entry(name) for name in hub.files]
            self._json({"Code": 200, "Success": True, "Data": {"Files": [folder, *entries]}})
        else:
            self._content(query["FilePath"][0], partial_status=200)

    def _entry(self, name: str) -> dict[str, Any]:
        data = self.hub.files[name]
        size = self.hub.sizes.get(name, len(data))
        return {"Path": name, "Type": "blob", "Size": size, "Sha256": hashlib.sha256(data).hexdigest()}

    def _content(self, name: str, partial_status: int = 206) -> None:
        hub, data = self.hub, self.hub.files[name]
        begin, status, headers = 0, 200, {}
        if hub.knows_ranges and (wanted := self.headers.get("Range")):
            begin, status = int(wanted.removeprefix("bytes=").rstrip("-")), partial_status
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        if name in hub.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if begin >= hub.cut_at.get(name, len(data) + 1):
            self._answer(503, b"")
        elif name in hub.cut_at:
            self._answer(status, data[begin:], headers, sent=hub.cut_at[name] - begin)
        elif name in hub.hold_at:
            self._answer(status, data[begin:], headers, sent=hub.hold_at[name] - begin)
        else:
            self._answer(status, data[begin:], headers)

    def _json(self, document: Any, status: int = 200) -> None:
        self._answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _answer(
        self, status: int, data: bytes, headers: Mapping[str, str] | None = None, *, sent: int | None = None
    ) -> None:
        """Promise all of the data, and send as much of it as shall be sent."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data if sent is None else data[:sent])
        if sent is not None:
            self.wfile.flush()
            self.close_connection = True
            if self.hub.hold_at:
                self.hub.held.set()
                self.hub.ended.wait(PATIENCE_SECONDS)

    def log_message(self, format: str, *words: Any) -> None:
        """Requests are in the log of the hub."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve the hub at `hub.url`."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.ended.set()
            server.shutdown()
            thread.join()
