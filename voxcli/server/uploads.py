"""Uploaded clips, read with a size limit and validated by decoding them."""

from pathlib import PurePath

from starlette.datastructures import UploadFile

from voxcli.audio.decode import decode
from voxcli.errors import RequestError
from voxcli.protocols.dialect import FieldError, Problem
from voxcli.server.errors import Refusal
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.worker import Threads
from voxcli.synthesis.request import Clip

_BLOCK = 2**16


async def read_clip(upload: UploadFile, settings: ServerSettings, threads: Threads, *, field: str = "file") -> Clip:
    """Read an uploaded clip. Only the last part of its file name is kept, for messages.

    Args:
        threads: `Service.threads`, on which it is decoded.
        field: name of the form field.

    Raises:
        Refusal: the clip is too large.
        FieldError: it is not audio, or too long.
    """
    data = bytearray()
    while block := await upload.read(_BLOCK):
        data += block
        if len(data) > settings.max_upload_bytes:
            message = f"The clip is too large: at most {settings.max_upload_bytes} bytes are allowed."
            raise Refusal(Problem(status=413, message=message, code="clip_too_large", field=field))
    name = PurePath((upload.filename or "clip").replace("\\", "/")).name[-100:] or "clip"
    clip = Clip(bytes(data), name)
    await threads.call(lambda: _check(clip, settings, field))
    return clip


def _check(clip: Clip, settings: ServerSettings, field: str) -> None:
    try:
        decode(clip.data, name="The clip", max_bytes=settings.max_upload_bytes, max_seconds=settings.max_clip_seconds)
    except RequestError as error:
        raise FieldError(str(error), field, "invalid_clip") from error
