"""Huge pages for weights: memory is moved into them at its own addresses, while it is in use.

Generating a patch takes as long as reading the weights does: two cores of a Xeon read 22 GB/s from a file that is
mapped in pages of 4 KiB, 23 GB/s from memory in such pages, and 28 GB/s from pages of 2 MiB, which spare the processor
the look-up of addresses. Linux uses those by itself for a file only on newer systems, and for memory only if it is
asked. Elsewhere nothing is moved.
"""

import ctypes
import mmap
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

HUGE_BYTES = 2 << 20
_PIECE_BYTES = 4 * HUGE_BYTES
"""Moved at a time. The end of the moving comes after one of them at the latest."""
_ALLOWED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SMAPS = Path("/proc/self/smaps")
_HUGE_FIELDS = ("AnonHugePages", "FilePmdMapped", "ShmemPmdMapped")
_ENOUGH = 0.9
"""Share of a mapping in huge pages, above which it is left as it is."""
_HUGEPAGE, _COLLAPSE = 14, 25
"""Advice to madvise (include/uapi/asm-generic/mman-common.h in Linux). The second one exists since Linux 6.1."""
_MAYMOVE_FIXED = 1 | 2
"""Flags of mremap (include/uapi/linux/mman.h)."""
_FAILED = ctypes.c_void_p(-1).value


@dataclass(frozen=True, slots=True)
class Mapping:
    """A part of the address space, as far as it is to be moved."""

    start: int
    end: int
    is_file: bool
    """Whether it shows a file, and was not written to."""
    huge: float
    """Share of what is in memory that lies in huge pages."""

    @property
    def pieces(self) -> Iterator[tuple[int, int]]:
        """Address and size of the pieces that are moved: whole huge pages."""
        for start in range(-(-self.start // HUGE_BYTES) * HUGE_BYTES, self.end, _PIECE_BYTES):
            if size := (min(self.end, start + _PIECE_BYTES) - start) // HUGE_BYTES * HUGE_BYTES:
                yield start, size


def can_move() -> bool:
    """Whether this system has huge pages for who asks."""
    try:
        return sys.platform == "linux" and "[never]" not in _ALLOWED.read_text("ascii")
    except OSError:
        return False


def small_mappings(ranges: Iterable[tuple[int, int]]) -> list[Mapping]:
    """Return the parts of the address space with these ranges, (address, size), that are not in huge pages yet."""
    wanted = _joined(ranges)
    return [
        part
        for mapping in _mappings()
        if mapping.huge < _ENOUGH
        for start, end in wanted
        if any((part := replace(mapping, start=max(mapping.start, start), end=min(mapping.end, end))).pieces)
    ]


def move_to_huge_pages(mappings: Iterable[Mapping], cancelled: threading.Event) -> int:
    """Move memory that other threads may be reading, but not writing.

    A file in memory becomes huge pages of the file itself, which all processes share, where Linux can do that, and a
    copy for this process elsewhere.

    Args:
        cancelled: may be set by another thread.

    Returns:
        How many bytes were moved.
    """
    moved = 0
    for mapping in mappings:
        for address, size in mapping.pieces:
            if cancelled.is_set():
                return moved
            if _collapse(address, size) or (mapping.is_file and _replace(address, size)):
                moved += size
    return moved


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Widen ranges to whole huge pages, and join those that touch. Return their starts and ends."""
    found: list[tuple[int, int]] = []
    for address, size in sorted(ranges):
        start = address // HUGE_BYTES * HUGE_BYTES
        end = -(-(address + size) // HUGE_BYTES) * HUGE_BYTES
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def _mappings() -> Iterator[Mapping]:
    """Read the mappings of this process (https://docs.kernel.org/filesystems/proc.html)."""
    with suppress(OSError), _SMAPS.open(encoding="utf-8", errors="replace") as lines:
        start = end = resident = anonymous = huge = 0
        for line in lines:
            name, _, value = line.partition(":")
            if "-" in name and " " in name:
                first, last = name.split(" ", 1)[0].split("-")
                start, end, resident, anonymous, huge = int(first, 16), int(last, 16), 0, 0, 0
            elif name == "Rss":
                resident = int(value.split()[0])
            elif name == "Anonymous":
                anonymous = int(value.split()[0])
            elif name in _HUGE_FIELDS:
                huge += int(value.split()[0])
            elif name == "VmFlags" and resident:
                yield Mapping(start, end, anonymous == 0, huge / resident)


def _collapse(address: int, size: int) -> bool:
    """Ask Linux to put a piece into huge pages where it is."""
    library = _library()
    library.madvise(address, size, _HUGEPAGE)
    return bool(library.madvise(address, size, _COLLAPSE) == 0)


def _replace(address: int, size: int) -> bool:
    """Put a copy in huge pages in the place of a piece of a file. To readers it happens at once."""
    library = _library()
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    reserved = library.mmap(None, size + HUGE_BYTES, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if reserved == _FAILED:
        return False
    copy = -(-reserved // HUGE_BYTES) * HUGE_BYTES
    for start, end in ((reserved, copy), (copy + size, reserved + size + HUGE_BYTES)):
        if start < end:  # before the copy moves away: what it leaves may be taken by another thread
            library.munmap(start, end - start)
    library.madvise(copy, size, _HUGEPAGE)
    ctypes.memmove(copy, address, size)
    if library.mremap(copy, size, size, _MAYMOVE_FIXED, address) == address:
        return True
    library.munmap(copy, size)
    return False


@cache
def _library() -> ctypes.CDLL:
    """Return the system's library of C, with the types of what is called here."""
    library = ctypes.CDLL(None)
    address, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    library.mmap.argtypes = (address, size, number, number, number, ctypes.c_long)
    library.mremap.argtypes = (address, size, size, number, address)
    library.mmap.restype = library.mremap.restype = address
    library.munmap.argtypes = (address, size)
    library.madvise.argtypes = (address, size, number)
    return library
