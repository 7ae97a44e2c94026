"""ModelScope client, over the HTTP interface that its own client uses (modelscope_hub on GitHub, Apache-2.0)."""

import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode

import httpx

import voxcli
from voxcli.errors import NotFound, RemoteError, RemoteRefused
from voxcli.models.catalog import HubName
from voxcli.models.hub import Listing, RemoteFile

_ENDPOINT = "https://modelscope.cn"
_TIMEOUT_SECONDS = 15.0
_TOKEN = "Make a token at https://modelscope.cn/my/myaccesstoken and set MODELSCOPE_API_TOKEN to it."


class ModelScope:
    """https://modelscope.cn."""

    name: HubName = "modelscope"
    main_branch = "master"

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self._endpoint = (endpoint or _ENDPOINT).rstrip("/")
        self._headers = {"User-Agent": f"voxcli/{voxcli.__version__}"}
        if token:
            # Older parts of the service look for a session, newer ones for a bearer.
            self._headers |= {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"}

    def read_listing(self, model_id: str, revision: str) -> Listing:
        page = f"{self._endpoint}/models/{model_id}"
        try:
            response = httpx.get(
                self._url(model_id, "/files", Revision=revision, Recursive="True"),
                headers=self._headers,
                timeout=_TIMEOUT_SECONDS,
                follow_redirects=True,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RemoteError(f"ModelScope cannot be reached at {self._endpoint}: {error}.") from error
        _refuse_unless_fine(response, page, revision)
        try:
            answer = response.json()
            if not answer["Success"]:
                raise RemoteError(f"ModelScope refuses {page}: {answer['Message']}.")
            files = tuple(self._files(model_id, revision, answer["Data"]["Files"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RemoteError(f"ModelScope answers for {page} what cannot be understood: {error!r}.") from error
        return Listing(model_id, revision, _name_by_content(files), files, self._headers)

    def _files(self, model_id: str, revision: str, entries: Iterable[dict[str, Any]]) -> Iterable[RemoteFile]:
        for entry in entries:
            if entry.get("Type") != "tree":
                name, digest = str(entry["Path"]), str(entry.get("Sha256")).lower()
                url = self._url(model_id, "", Revision=revision, FilePath=name)
                yield RemoteFile(name, int(entry["Size"]), digest, url)

    def _url(self, model_id: str, below: str, **query: str) -> str:
        return f"{self._endpoint}/api/v1/models/{quote(model_id)}/repo{below}?{urlencode(query)}"


def _refuse_unless_fine(response: httpx.Response, page: str, revision: str) -> None:
    status = response.status_code
    if status == httpx.codes.NOT_FOUND:
        raise NotFound(f"There is no revision {revision!r} at {page}, or it is private. For a private one: {_TOKEN}")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise RemoteRefused(f"ModelScope refuses {page} ({status}). {_TOKEN}", status)
    if not response.is_success:
        raise RemoteRefused(
            f"ModelScope answers {status} for {page}: {response.reason_phrase}. Try again later.", status
        )


def _name_by_content(files: Iterable[RemoteFile]) -> str:
    """Name a revision by what is in it: the hub tells no commit that can be relied on."""
    lines = sorted(f"{file.name} {file.digest}\n" for file in files)
    return hashlib.sha1("".join(lines).encode(), usedforsecurity=False).hexdigest()
