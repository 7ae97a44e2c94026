"""ModelScope client, for the HTTP API that its own client uses (modelscope_hub on GitHub, Apache-2.0)."""

import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from voxcli.connections import explain_unreached, find_proxy
from voxcli.errors import NotFound, RemoteError, RemoteRefused
from voxcli.models.catalog import HubName
from voxcli.models.hub import Listing, RemoteFile
from voxcli.version import __version__

_ENDPOINT = "https://modelscope.cn"
_TIMEOUT_SECONDS = 15.0
_TOKEN = "Create a token at https://modelscope.cn/my/myaccesstoken and set MODELSCOPE_API_TOKEN to it."


class ModelScope:
    """https://modelscope.cn."""

    name: HubName = "modelscope"
    main_branch = "master"

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self._endpoint = (endpoint or _ENDPOINT).rstrip("/")
        self._headers = {"User-Agent": f"voxcli/{__version__}"}
        if token:
            # Older endpoints read the session cookie, newer ones the bearer token.
            self._headers |= {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"}

    def read_listing(self, model_id: str, revision: str) -> Listing:
        page, proxy = f"{self._endpoint}/models/{model_id}", find_proxy(self._endpoint)
        try:
            response = httpx.get(
                self._url(model_id, "/files", Revision=revision, Recursive="True"),
                headers=self._headers,
                timeout=_TIMEOUT_SECONDS,
                follow_redirects=True,
                verify=httpx.create_ssl_context(),
                proxy=proxy.url if proxy else None,
                trust_env=False,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = explain_unreached(error, self._endpoint, proxy)
            raise RemoteError(f"Cannot reach ModelScope at {self._endpoint}{reason}") from error
        _raise_for_status(response, page, revision)
        try:
            answer = response.json()
            if not answer["Success"]:
                raise RemoteError(f"ModelScope rejected the request for {page}: {answer['Message']}.")
            files = tuple(self._files(model_id, revision, answer["Data"]["Files"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RemoteError(f"ModelScope sent an invalid response for {page}: {error!r}.") from error
        return Listing(model_id, revision, _name_by_content(files), files, self._headers)

    def _files(self, model_id: str, revision: str, entries: Iterable[dict[str, Any]]) -> Iterable[RemoteFile]:
        for entry in entries:
            if entry.get("Type") != "tree":
                name, digest = str(entry["Path"]), str(entry.get("Sha256")).lower()
                url = self._url(model_id, "", Revision=revision, FilePath=name)
                yield RemoteFile(name, int(entry["Size"]), digest, url)

    def _url(self, model_id: str, below: str, **query: str) -> str:
        return f"{self._endpoint}/api/v1/models/{quote(model_id)}/repo{below}?{urlencode(query)}"


def _raise_for_status(response: httpx.Response, page: str, revision: str) -> None:
    status = response.status_code
    if status == httpx.codes.NOT_FOUND:
        raise NotFound(f"There is no revision {revision!r} at {page}, or it is private. For a private one: {_TOKEN}")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise RemoteRefused(f"ModelScope denied access to {page} ({status}). {_TOKEN}", status)
    if not response.is_success:
        raise RemoteRefused(
            f"ModelScope answered {status} for {page}: {response.reason_phrase}. Try again later.", status
        )


def _name_by_content(files: Iterable[RemoteFile]) -> str:
    """Return a hash of the content, which stands for the commit: the hub reports none that is reliable."""
    lines = sorted(f"{file.name} {file.digest}\n" for file in files)
    return hashlib.sha1("".join(lines).encode(), usedforsecurity=False).hexdigest()
