"""What is known of servers from earlier: one small file, which may be lost at any time."""

import contextlib
import json
import logging
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxcli.protocols.dialect import Dialect

KNOWN_SECONDS = 24 * 60 * 60.0
"""A server may be replaced by another one, but not every hour."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a server is."""

    dialect: Dialect
    is_voxcli: bool = False
    """It understands more than its dialect has words for."""
    version: int = 2
    """Of GPT-SoVITS's API: 1 or 2."""


class Memory:
    """Servers by their address, with the time at which they were asked."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def find(self, url: str, now: float) -> Server | None:
        """Return what a server is, if that was found out lately.

        Args:
            now: in seconds since 1970.
        """
        entry = self._read().get(url)
        try:
            if entry and 0 <= now - entry["asked"] < KNOWN_SECONDS:
                known = entry["server"]
                return Server(**{**known, "dialect": Dialect(known["dialect"])})
        except (KeyError, TypeError, ValueError):
            pass  # written by another version
        return None

    def keep(self, url: str, server: Server, now: float) -> None:
        self._write({**self._read(), url: {"asked": now, "server": asdict(server)}})

    def forget(self, url: str) -> None:
        known = self._read()
        if known.pop(url, None):
            self._write(known)

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write(self, known: dict[str, Any]) -> None:
        staged = self._file.with_name(f".{secrets.token_hex(8)}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            staged.write_text(json.dumps(known, indent=1), "utf-8")
            staged.replace(self._file)
        except OSError as error:
            _log.debug("not remembered: %s", error)
            with contextlib.suppress(OSError):
                staged.unlink(missing_ok=True)
