"""Spool: speech that is generated at the engine's speed and waits, in memory and then in a file, for its client."""

import asyncio
import errno
import logging
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import IO

from voxcli.server.streaming.worker import Threads, Worker

_log = logging.getLogger(__name__)

BLOCK = 2**16
"""Bytes: of what is written and read at once, and of what each request may always keep in memory."""
_SHARES_OF_MEMORY, _SHARES_OF_FILE = 64, 8
"""A request gets one share at most."""
_SPARE_BYTES = 256 * 2**20
"""Free disk space that is left to other programs."""
_RETRY_SECONDS = 10.0
"""Until a file is tried again that could not be written."""


class SpoolSpace:
    """Memory and a temporary file that all answers share. Used on the event loop; the file is used on threads."""

    def __init__(self, threads: Threads, *, memory_bytes: int, file_bytes: int) -> None:
        """The limits are those of all requests together."""
        self.threads = threads
        self.used_bytes = 0
        """Bytes that wait for their clients."""
        self.memory_share = memory_bytes // _SHARES_OF_MEMORY
        self.blocks_share = -(-file_bytes // _SHARES_OF_FILE // BLOCK)
        self._memory_left = memory_bytes
        self._blocks_most = file_bytes // BLOCK
        self._blocks_used = 0
        self._free: list[int] = []
        self._file = _BlockFile()
        self._retry_at = 0.0
        self._changed = asyncio.Event()

    def close(self) -> None:
        self.threads.start(self._file.close)

    async def wait_for_change(self) -> None:
        """Wait until a client has taken something."""
        await self._changed.wait()

    def note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def take_memory(self, count: int) -> bool:
        """Reserve memory, if there is enough."""
        if count > self._memory_left:
            return False
        self._memory_left -= count
        return True

    def give_back_memory(self, count: int) -> None:
        self._memory_left += count

    def take_block(self) -> int | None:
        """Reserve a block of the file; None if there is none, or if the file could not be written recently."""
        if asyncio.get_running_loop().time() < self._retry_at or self._blocks_used >= self._blocks_most:
            return None
        block = self._free.pop() if self._free else self._blocks_used
        self._blocks_used += 1
        return block

    def give_back_block(self, block: int) -> None:
        self._blocks_used -= 1
        self._free.append(block)
        if not self._blocks_used:  # the file shrinks to nothing
            self._free.clear()
            file, self._file = self._file, _BlockFile()
            self.threads.start(file.close)

    async def write(self, block: int, data: bytes) -> bool:
        """Write a reserved block. Return whether that worked: if not, or if it is cancelled, it is given back."""
        file = self._file
        writing = asyncio.ensure_future(self.threads.call(lambda: file.write(block, data)))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            writing.add_done_callback(lambda done: self._forget(block, done))  # only now may others write there
            raise
        except OSError as error:
            _log.warning("speech that clients have not taken yet cannot wait in a file: %s", error.strerror or error)
            self._retry_at = asyncio.get_running_loop().time() + _RETRY_SECONDS
            self.give_back_block(block)
            return False
        return True

    async def read(self, block: int) -> bytes:
        file = self._file
        return await self.threads.call(lambda: file.read(block))

    def _forget(self, block: int, writing: "asyncio.Future[None]") -> None:
        if not writing.cancelled():
            writing.exception()
        self.give_back_block(block)


class _BlockFile:
    """A temporary file without a name, made when it is first written. Thread-safe."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def write(self, block: int, data: bytes) -> None:
        """Raises OSError, also if the disk would be almost full."""
        with self._lock:
            if shutil.disk_usage(tempfile.gettempdir()).free < _SPARE_BYTES:
                raise OSError(errno.ENOSPC, "the disk is almost full")
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed in close
            self._file.seek(block * BLOCK)
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]

    def read(self, block: int) -> bytes:
        """Read a block that was written."""
        with self._lock:
            assert self._file
            self._file.seek(block * BLOCK)
            return self._file.read(BLOCK)

    def close(self) -> None:
        with self._lock:
            if self._file:
                self._file.close()


class Spool:
    """What one client has not taken yet, in order: pieces in memory, then blocks in the file, then a rest in memory."""

    def __init__(self, space: SpoolSpace) -> None:
        self.size = 0
        """Bytes, of everything that was put."""
        self.is_full = False
        """Whether nothing more can be put until this client or another takes something."""
        self.on_full: Callable[[bool], None] = lambda full: None
        """Called when that changes."""
        self._space = space
        self._pieces: deque[bytes] = deque()
        self._memory = 0
        """Bytes of the pieces."""
        self._blocks: deque[int] = deque()
        self._rest = bytearray()
        self._arrived = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None

    async def put(self, piece: bytes) -> None:
        """Add a piece. Waits while there is no room for it."""
        self.size += len(piece)
        for start in range(0, len(piece), BLOCK):
            await self._put(piece[start : start + BLOCK])

    async def take(self) -> bytes | None:
        """Return the next bytes, or None after the last. Raises the error with which it ended."""
        while True:
            self._arrived.clear()
            data = await self._next()
            if data:
                self._space.used_bytes -= len(data)
                self._space.note_change()
                return data
            if self._ended:
                if self._error:
                    raise self._error
                return None
            await self._arrived.wait()

    def end(self, error: Exception | None) -> None:
        """Put nothing more. The error is raised after everything has been taken."""
        self._ended, self._error = True, error
        self._arrived.set()

    def discard(self) -> None:
        """Give everything back that was not taken."""
        self._space.used_bytes -= self._memory + len(self._blocks) * BLOCK + len(self._rest)
        self._space.give_back_memory(self._memory)
        for block in self._blocks:
            self._space.give_back_block(block)
        self._pieces.clear()
        self._blocks.clear()
        self._rest.clear()
        self._memory = 0
        self._space.note_change()

    async def _put(self, piece: bytes) -> None:
        if self._fits_in_memory(len(piece)):
            self._pieces.append(piece)
            self._memory += len(piece)
        else:
            while len(self._rest) >= BLOCK:
                await self._make_room()
            self._note_full(False)
            self._rest += piece
        self._space.used_bytes += len(piece)
        self._arrived.set()

    def _fits_in_memory(self, count: int) -> bool:
        if self._blocks or self._rest or self._memory + count > self._space.memory_share:
            return False
        return self._space.take_memory(count)

    async def _make_room(self) -> None:
        """Move the start of the rest into the file, or wait until the client has taken something."""
        block = self._space.take_block() if len(self._blocks) < self._space.blocks_share else None
        if block is None:
            self._note_full(True)
            await self._space.wait_for_change()
            return
        if not await self._space.write(block, bytes(self._rest[:BLOCK])):
            return
        if self._rest:
            del self._rest[:BLOCK]
            self._blocks.append(block)
        else:  # the client has taken it meanwhile
            self._space.give_back_block(block)

    def _note_full(self, full: bool) -> None:
        if full != self.is_full:
            self.is_full = full
            self.on_full(full)

    async def _next(self) -> bytes:
        if self._pieces:
            piece = self._pieces.popleft()
            self._memory -= len(piece)
            self._space.give_back_memory(len(piece))
            return piece
        if self._blocks:
            data = await self._space.read(self._blocks[0])
            self._space.give_back_block(self._blocks.popleft())
            return data
        data = bytes(self._rest)
        self._rest.clear()
        return data


class SpooledSpeech:
    """The body of one answer. The engine and the slot are released once it is generated, not once it is taken."""

    def __init__(self, worker: Worker[bytes], held: AsyncExitStack, space: SpoolSpace) -> None:
        """held: what to release; it closes the worker."""
        self.spool = Spool(space)
        self._generating = asyncio.create_task(_generate(worker, held, self.spool))

    async def next(self) -> bytes | None:
        """Return the next bytes, or None after the last. Raises what the generator raised, after what it made."""
        return await self.spool.take()

    async def close(self) -> None:
        """Stop generating, and wait until everything is released."""
        self._generating.cancel()
        await asyncio.wait({self._generating})
        self.spool.discard()


async def _generate(worker: Worker[bytes], held: AsyncExitStack, spool: Spool) -> None:
    error = None
    try:
        async with held:
            while (piece := await worker.next()) is not None:
                await spool.put(piece)
    except Exception as raised:  # noqa: BLE001 - raised again where the speech is taken
        error = raised
    spool.end(error)
