"""Request bodies: JSON objects, forms, and clips in them. What cannot be read is answered with what to send instead."""

import codecs
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.clip_quality import ClipReport, inspect, trimmed
from voxcli.errors import RequestError
from voxcli.protocols.dialect import FieldError, Problem
from voxcli.protocols.fields import Malformed
from voxcli.server.errors import Refusal
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.worker import Threads
from voxcli.synthesis.request import Clip

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what is wrong with a form is in the answer

_BLOCK = 2**16
_MOST_TEXT = 2**20
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_KINDS: dict[type, str] = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


async def read_json(request: Request, example: Mapping[str, Any]) -> dict[str, Any]:
    """Read a JSON object, whatever content type it came with: many clients send none, or that of a form.

    example: a body that can be sent, for messages.

    Raises:
        Malformed: the body is something else.
    """
    send = f"Send a JSON object, such as {json.dumps(example)}"
    _check_encoding(request)
    data = await request.body()
    if not data.strip():
        raise Malformed(f"The body is empty. {send}.", None, "missing")
    kind, charset = _content_type(request)
    if kind in _FORMS and not data.lstrip().startswith((b"{", b"[")):
        raise Malformed(f"The body is a form, and this path takes JSON. {send}.", None, "json_type")
    try:
        value = json.loads(_decoded(data, charset))
    except UnicodeDecodeError:
        message = f"The body is not valid {charset or 'UTF-8'}. {send}, in UTF-8."
        raise Malformed(message, None, "json_invalid") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise Malformed(f"The body is not valid JSON ({place}). {send}.", None, "json_invalid") from None
    except (ValueError, RecursionError):
        message = f"The body is nested too deeply, or a number in it is too long. {send}."
        raise Malformed(message, None, "json_invalid") from None
    if not isinstance(value, dict):
        kind = _KINDS.get(type(value), "a number")
        raise Malformed(f"The body is {kind} in JSON, not an object. {send}.", None, "json_type")
    return value


async def check_form(request: Request) -> None:
    """Check that the body is a form.

    Raises:
        Malformed: it is something else, or is compressed.
    """
    _check_encoding(request)
    kind, _ = _content_type(request)
    if kind in _FORMS or (not kind and request.headers.get("content-length", "0") == "0"):
        return
    what = "JSON" if "json" in kind else f"of the type {kind[:64]!r}" if kind else "of no stated type"
    raise Malformed(
        f"The body is {what}, and this path takes a form. Send its fields as multipart/form-data, or without files as "
        "application/x-www-form-urlencoded.",
        None,
        "form_type",
    )


@asynccontextmanager
async def read_form(
    request: Request, *, max_files: int, max_fields: int, most_bytes: int = _MOST_TEXT
) -> AsyncIterator[FormData]:
    """Read a form. Its files are closed at the end.

    most_bytes: of the text in one field. Files of more bytes wait in a temporary file.

    Raises:
        Malformed: it is broken, or its text is not in the charset that it states.
    """
    if _content_type(request)[0] != _FORMS[0]:
        async with request.form(max_files=max_files, max_fields=max_fields, max_part_size=most_bytes) as form:
            yield form
        return
    parser = _FormParser(
        request.headers, request.stream(), max_files=max_files, max_fields=max_fields, max_part_size=most_bytes
    )
    parser.spool_max_size = most_bytes
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Malformed(f"The form cannot be read: {error.message}", None, "form_type") from None
    try:
        yield form
    finally:
        await form.close()


class _FormParser(MultiPartParser):
    """Refuses text of another charset, which would be said wrong, and knows the file names of RFC 5987."""

    def on_headers_finished(self) -> None:
        stated = self._current_part.content_disposition or b""
        if (name := _EXTENDED_NAME.search(stated)) and b"filename=" not in stated:
            plain = unquote_to_bytes(name[1]).replace(b'"', b"_")
            self._current_part.content_disposition = stated.replace(name[0], b'filename="' + plain + b'"')
        super().on_headers_finished()

    def on_part_end(self) -> None:
        if self._current_part.file is None:
            try:
                self._current_part.data.decode(self._charset)
            except UnicodeDecodeError:
                message = (
                    f"The field {self._current_part.field_name!r} is not valid {self._charset.upper()}. Send it in "
                    "UTF-8, or state its charset: Content-Type: multipart/form-data; charset=gbk."
                )
                raise Malformed(message, self._current_part.field_name, "charset") from None
        super().on_part_end()


_EXTENDED_NAME = re.compile(rb"filename\*=utf-8'[^']*'([^;\s]*)", re.IGNORECASE)


def is_given(upload: UploadFile | None) -> bool:
    """Tell whether there is a file: browsers send one without a name and content for an input that was left empty."""
    return upload is not None and bool(upload.filename or upload.size)


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Malformed(f"The body is compressed ({encoding[:32]!r}). Send it uncompressed.", None, "compressed")


def _content_type(request: Request) -> tuple[str, str]:
    """Return the content type and the charset, in lower case, each empty if it is not stated."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    stated = (part.partition("=") for part in parameters.split(";"))
    charset = next((value.strip(' "') for name, _, value in stated if name.strip() == "charset"), "")
    return kind.strip(), charset


def _decoded(data: bytes, charset: str) -> str | bytes:
    """Return the text of a body; without a usable charset the bytes, of which the JSON parser tells the encoding."""
    if charset.replace("_", "-") not in ("", "utf-8", "utf8"):
        try:
            return data.decode(charset)
        except LookupError:  # no charset of that name
            pass
    return data.removeprefix(codecs.BOM_UTF8)


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
    await threads.call(lambda: check_clip(clip, settings, field))
    return clip


def check_clip(clip: Clip, settings: ServerSettings, field: str) -> None:
    """Check that a clip can be decoded and is short enough. Raises FieldError."""
    _decode_clip(clip, settings, field)


def measure_clip(clip: Clip, settings: ServerSettings, field: str) -> ClipReport:
    """Measure how good a clip is to imitate, without silence at its ends. Raises FieldError if it is not audio."""
    return inspect(trimmed(_decode_clip(clip, settings, field)))


def _decode_clip(clip: Clip, settings: ServerSettings, field: str) -> AudioChunk:
    from voxcli.audio.decode import decode  # loads libav, which a resident engine does not need here

    most = settings.max_upload_bytes
    try:
        return decode(clip.data, name="The clip", max_bytes=most, max_seconds=settings.max_clip_seconds)
    except RequestError as error:
        raise FieldError(str(error), field, "invalid_clip") from error
