"""Errors for programs of this user: what an engine in their own process would have raised."""

from collections import OrderedDict
from typing import Any, TypeAlias

from voxcli import errors
from voxcli.errors import RemoteRefused, VoxError
from voxcli.protocols.dialect import Problem
from voxcli.server.errors import Refusal

ErrorDescription: TypeAlias = dict[str, Any]

STOPPING = "stopping"
"""Code of a server that accepts no new requests, because it is about to end: another one has to be started."""
_DRAINING = "draining"
_KEPT = 256
"""Errors, until they are asked for: each request has one at most."""


def describe_error(error: Exception, problem: Problem) -> ErrorDescription:
    """Return what the caller needs to raise the same exception.

    `kind` is the class of `voxcli.errors`; null if the server itself refuses the request, which `code` explains, or if
    the error is a fault of voxcli itself.

    problem: as which it is answered.
    """
    cause = error.__cause__ if isinstance(error, Refusal) and isinstance(error.__cause__, VoxError) else error
    code = STOPPING if problem.code == _DRAINING else problem.code
    described: ErrorDescription = {"kind": None, "message": str(cause), "on_command_line": "", "code": code}
    if problem.field:
        described["field"] = problem.field
    if isinstance(cause, Refusal):
        return described
    if not isinstance(cause, VoxError):
        return described | {"message": f"{type(cause).__name__}: {cause}"}
    kind = next(one.__name__ for one in type(cause).__mro__ if one.__module__ == errors.__name__)
    if isinstance(cause, RemoteRefused):
        described["status"] = cause.status
    return described | {"kind": kind, "on_command_line": cause.for_command_line.removeprefix(str(cause)).lstrip()}


class LateErrors:
    """Errors of streams that failed after their first sound, by the ids of their requests, for one look each."""

    def __init__(self) -> None:
        self._errors: OrderedDict[str, ErrorDescription] = OrderedDict()

    def keep(self, request_id: str, described: ErrorDescription) -> None:
        self._errors[request_id] = described
        if len(self._errors) > _KEPT:
            self._errors.popitem(last=False)

    def take(self, request_id: str) -> ErrorDescription | None:
        """Return an error, and forget it."""
        return self._errors.pop(request_id, None)
