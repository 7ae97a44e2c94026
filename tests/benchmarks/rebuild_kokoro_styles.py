"""Style vectors of Kokoro, rebuilt from the package that they come from, and compared with the file in voxcli.

    npm pack kokoro-js@1.2.1
    python tests/benchmarks/rebuild_kokoro_styles.py kokoro-js-1.2.1.tgz [--write]

The package may be the archive or the folder it unpacks to. Without --write nothing is changed, and the exit status says
whether every number in the file is the package's, rounded to float16, and every digest the one in NOTICE.
"""

import argparse
import hashlib
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from voxcli.engines.kokoro.speakers import VOICES
from voxcli.engines.kokoro.styles import STYLES, VECTORS, WIDTH, load_styles, write_styles

NOTICE = STYLES.with_name("NOTICE")
ARCHIVE_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
_PATH = "package/voices/{}.bin"


def read_package(package: Path) -> Mapping[str, bytes]:
    """Return the files of the voices from the package, by name."""
    if package.is_dir():
        root = package if (package / "package").is_dir() else package.parent
        return {name: (root / _PATH.format(name)).read_bytes() for name in VOICES}
    with tarfile.open(package) as archive:
        members = {name: archive.extractfile(_PATH.format(name)) for name in VOICES}
        return {name: member.read() for name, member in members.items() if member}


def compare(files: Mapping[str, bytes], path: Path, notice: str) -> list[str]:
    """List what is different in the file of styles, or in the digests of NOTICE."""
    styles = load_styles(path)
    found = [f"{name}: not in the package" for name in VOICES.keys() - files.keys()]
    found += [f"{name}: not in {path.name}" for name in files.keys() - styles.keys()]
    for name in files.keys() & styles.keys():
        rounded = vectors(files[name]).astype(np.float16).astype(np.float32)
        if not np.array_equal(styles[name], rounded):
            found.append(f"{name}: other numbers")
        if f"{hashlib.sha256(files[name]).hexdigest()}  {name}.bin" not in notice:
            found.append(f"{name}: another digest than in NOTICE")
    return sorted(found)


def vectors(data: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.frombuffer(data, "<f4").reshape(VECTORS, WIDTH)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="kokoro-js-1.2.1.tgz, or the folder it unpacks to")
    parser.add_argument("--write", action="store_true", help="write the file again first")
    arguments = parser.parse_args()
    files = read_package(arguments.package)
    if arguments.package.is_file() and hashlib.sha256(arguments.package.read_bytes()).hexdigest() != ARCHIVE_SHA256:
        print("This is not the archive of kokoro-js 1.2.1 that NOTICE names.", file=sys.stderr)
        return 1
    if arguments.write:
        write_styles(STYLES, {name: vectors(files[name]) for name in VOICES})
    differences = compare(files, STYLES, NOTICE.read_text("utf-8"))
    print("\n".join(differences) or f"{len(files)} voices, all as in the package.")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
