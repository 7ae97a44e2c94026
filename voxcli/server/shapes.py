"""Protocol of a path, for errors that happen before a route is reached."""

from starlette.types import Scope

from voxcli.protocols.gptsovits import messages as gptsovits
from voxcli.protocols.openai import messages as openai
from voxcli.protocols.voxcpm import messages as voxcpm
from voxcli.server.errors import ErrorBody

_OPENAI = "/v1/"
_GPT_SOVITS = ("/tts", "/speakers", "/control", "/set_")


def error_body_at(scope: Scope) -> ErrorBody:
    """Return the shape of an error for this path."""
    path: str = scope["path"]
    if path.startswith(_OPENAI):
        return openai.error_body
    if path.startswith(_GPT_SOVITS) or (path == "/" and scope["method"] == "POST"):
        return gptsovits.error_body
    return voxcpm.error_body
