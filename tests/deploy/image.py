"""Image built without a container engine: each step of the Dockerfile runs in a root that debootstrap made.

Each instruction adds to the layer of its stage, as in an image. It needs root, debootstrap and overlayfs, and a mount
namespace of its own.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.dockerfile import Instruction, Stage, mount, needed, read_dockerfile, substituted

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "examples/deploy/Dockerfile"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LENT = ("PIP_CERT", "PIP_FIND_LINKS")
"""Variables of pip that name files of this machine, which are lent to the steps that run."""
_LEFT_OUT_BY_SLIM = ("doc", "info", "locale", "man")
"""Below /usr/share; the slim images of Debian come without."""


@dataclass
class Image:
    """Layers, and how a container of them is run."""

    layers: list[Path]
    """The lowest one last, as overlayfs takes them."""
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    config: dict[str, Instruction] = field(default_factory=dict)

    @property
    def user(self) -> str:
        return self.config["USER"].words if "USER" in self.config else "0"

    @property
    def folder(self) -> str:
        return self.config["WORKDIR"].words if "WORKDIR" in self.config else "/"

    def bytes_of_layers(self) -> list[int]:
        """Return the size of each layer, the lowest one first."""
        return [_size_of(layer) for layer in reversed(self.layers)]


class Builder:
    """Builds the targets of a Dockerfile below a folder. What is there already is kept, unless it would be another."""

    def __init__(self, folder: Path, arguments: Mapping[str, str]) -> None:
        self._folder = folder
        self._arguments = dict(arguments)
        self._stages, self._defaults = read_dockerfile(DOCKERFILE.read_text("utf-8"), arguments)
        self._built: dict[str, Image] = {}

    def build(self, target: str) -> Image:
        for stage in needed(self._stages, target):
            self._built[stage.name] = self._build(stage)
        return self._built[target]

    def _build(self, stage: Stage) -> Image:
        base = self._built.get(stage.base)
        layers = base.layers if base else [self._debian(stage.base)]
        upper = self._folder / stage.name
        key, stamp = self._key(stage), self._folder / f"{stage.name}.key"
        is_there = stamp.exists() and stamp.read_text() == key
        if not is_there:
            shutil.rmtree(upper, ignore_errors=True)
            stamp.unlink(missing_ok=True)
            upper.mkdir(parents=True)
        environment = dict(base.environment) if base else {"PATH": _PATH}
        image = Image([upper, *layers], environment, dict(base.config) if base else {})
        arguments: dict[str, str] = {}
        if is_there:
            for instruction in stage.instructions:
                if instruction.name not in ("RUN", "COPY"):
                    self._take(instruction, image, arguments, upper)
            return image
        with mounted(image.layers, self._folder / f"{stage.name}.work") as root:
            for instruction in stage.instructions:
                print(f"[{stage.name}] {instruction.name} {instruction.words}", flush=True)
                began = time.monotonic()
                self._take(instruction, image, arguments, root)
                if instruction.name == "RUN":
                    print(f"[{stage.name}] {time.monotonic() - began:.1f} s", flush=True)
        stamp.write_text(key)
        return image

    def _key(self, stage: Stage) -> str:
        """Return what decides how a stage turns out, as a hash."""
        found = hashlib.sha256(repr((stage.base, stage.instructions, self._arguments)).encode())
        sources = [one for instruction in stage.instructions for one in instruction.stages]
        for name in (stage.base, *sources):
            if name in self._built:
                found.update((self._folder / f"{name}.key").read_bytes())
        for instruction in stage.instructions:
            if instruction.name == "COPY" and "from" not in instruction.flags:
                for source in instruction.words.split()[:-1]:
                    for path in sorted([ROOT / source, *(ROOT / source).rglob("*.*")]):
                        if path.is_file() and path.suffix != ".pyc":
                            found.update(path.read_bytes())
        return found.hexdigest()

    def _take(self, instruction: Instruction, image: Image, arguments: dict[str, str], root: Path) -> None:
        known = {**arguments, **image.environment}
        match instruction.name:
            case "ARG":
                for name, value in instruction.pairs.items():
                    arguments[name] = self._arguments.get(name, value or self._defaults.get(name, ""))
            case "ENV":
                pairs = {name: substituted(value, known) for name, value in instruction.pairs.items()}
                image.environment.update(pairs)
            case "RUN":
                self._run(instruction, image, known, root)
            case "COPY":
                self._copy(instruction, image, root)
            case name:
                image.config[name] = instruction
                if name == "WORKDIR":
                    (root / image.folder.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _run(self, instruction: Instruction, image: Image, environment: Mapping[str, str], root: Path) -> None:
        assert image.user == "0", "no step runs as another user"
        with _system(root), ExitStack() as mounts:
            if "mount" in instruction.flags:
                fields = mount(instruction.flags["mount"])
                source = mounts.enter_context(self._stage(fields["from"])) / fields["source"].lstrip("/")
                target = root / fields["target"].lstrip("/")
                target.mkdir(parents=True, exist_ok=True)
                mounts.callback(target.rmdir)
                mounts.enter_context(_bound(source, target))
            lent = {}
            for name in _LENT:
                path = Path(os.environ.get(name, "/nowhere"))
                if path.exists():
                    place = root / "run" / name
                    place.mkdir() if path.is_dir() else place.touch()
                    mounts.enter_context(_bound(path, place))
                    lent[name] = f"/run/{name}"
            words = ["chroot", root, "env", "-i", "--chdir", image.folder, *_assignments({**environment, **lent})]
            subprocess.run([*words, "/bin/sh", "-c", instruction.words], check=True)

    def _copy(self, instruction: Instruction, image: Image, root: Path) -> None:
        *sources, target = instruction.words.split()
        place = root / (target if target.startswith("/") else f"{image.folder}/{target}").lstrip("/")
        with self._stage(instruction.flags["from"]) if "from" in instruction.flags else nullcontext(ROOT) as origin:
            self._copy_each([origin / source.lstrip("/") for source in sources], place, instruction, target)

    def _copy_each(self, sources: list[Path], place: Path, instruction: Instruction, target: str) -> None:
        for found in sources:
            to = place / found.name if target.endswith("/") else place
            to.parent.mkdir(parents=True, exist_ok=True)
            # A folder's contents are copied, into one that may be there.
            what = f"{found}/." if found.is_dir() else found
            subprocess.run(["cp", "-a", "--no-preserve=ownership", what, to], check=True)
            for cache in to.rglob("__pycache__") if "from" not in instruction.flags and to.is_dir() else ():
                shutil.rmtree(cache)  # .dockerignore leaves them out
            if "chmod" in instruction.flags:
                to.chmod(int(instruction.flags["chmod"], 8))

    @contextmanager
    def _stage(self, name: str) -> Iterator[Path]:
        """Mount what a stage made, to take files from it."""
        with mounted(self._built[name].layers, None) as root:
            yield root

    def _debian(self, image: str) -> Path:
        """Return what stands in for debian:RELEASE-slim."""
        release = image.removeprefix("debian:").removesuffix("-slim")
        assert image == f"debian:{release}-slim", f"unknown base image {image}"
        base = self._folder / f"debian-{release}"
        if not base.is_dir():
            made = base.with_suffix(".new")
            shutil.rmtree(made, ignore_errors=True)
            subprocess.run(["debootstrap", "--variant=minbase", release, made], check=True, stdout=subprocess.DEVNULL)
            excluded = made / "etc/dpkg/dpkg.cfg.d/slim"
            excluded.write_text("".join(f"path-exclude /usr/share/{name}/*\n" for name in _LEFT_OUT_BY_SLIM))
            for name in _LEFT_OUT_BY_SLIM:
                shutil.rmtree(made / "usr/share" / name, ignore_errors=True)
            shutil.rmtree(made / "var/lib/apt/lists")
            shutil.rmtree(made / "var/cache/apt/archives")
            made.rename(base)
        return base


@contextmanager
def mounted(layers: list[Path], work: Path | None) -> Iterator[Path]:
    """Mount layers, the uppermost of which is written to if there is a folder for work."""
    point = layers[0].with_name(f"{layers[0].name}.root")
    point.mkdir(exist_ok=True)
    lower = ":".join(map(str, layers[1:] if work else layers))
    options = f"lowerdir={lower}"
    if work:
        work.mkdir(exist_ok=True)
        options += f",upperdir={layers[0]},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, point], check=True)
    try:
        yield point
    finally:
        _unmount(point)
        point.rmdir()
        if work:
            shutil.rmtree(work)


@contextmanager
def container(image: Image, volume: Path, environment: Mapping[str, str], *words: str) -> Iterator["Container"]:
    """Run the entrypoint as process 1 of its own, as the image's user, on a root that cannot be written to.

    Args:
        volume: the folder that is mounted where the image has its volume.
        environment: besides that of the image.
    """
    os.chown(volume, int(image.user), int(image.user))
    with mounted(image.layers, None) as root, ExitStack() as mounts:
        mounts.enter_context(_bound(volume, root / image.config["VOLUME"].words.lstrip("/")))
        mounts.enter_context(_fresh("proc", root / "proc"))
        mounts.enter_context(_fresh("tmpfs", root / "tmp"))
        mounts.enter_context(_bound(Path("/dev"), root / "dev"))
        running = Container(image, root, {**image.environment, **environment})
        with running.start(*words):
            yield running


@dataclass
class Container:
    """A container that runs."""

    image: Image
    root: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    @contextmanager
    def start(self, *words: str) -> Iterator[None]:
        command = ["unshare", "--pid", "--fork", "--kill-child"]
        self.process = subprocess.Popen([*command, *self._inside(*self.image.config["ENTRYPOINT"].command, *words)])
        try:
            yield
        finally:
            self.process.kill()
            self.process.wait()

    def is_healthy(self) -> bool:
        """Run the health check of the image."""
        return self.run(*self.image.config["HEALTHCHECK"].command).returncode == 0

    def run(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        """Run a command beside the first one."""
        return subprocess.run(self._inside(*words), capture_output=True, check=False)

    def signal(self) -> None:
        """Send the signal with which an engine stops a container."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        subprocess.run(["kill", "-s", self.image.config["STOPSIGNAL"].words, *children], check=True)

    def wait(self) -> int:
        """Wait for its end. Return its exit code."""
        assert self.process
        return self.process.wait(60)

    def _inside(self, *words: str) -> list[str]:
        user = f"--userspec={self.image.user}:{self.image.user}"
        env = ["env", "-i", "--chdir", self.image.folder, *_assignments(self.environment)]
        return ["chroot", user, str(self.root), *env, *words]


def _assignments(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


@contextmanager
def _bound(source: Path, target: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", source, target], check=True)
    try:
        yield
    finally:
        _unmount(target)


def _unmount(target: Path) -> None:
    """Unmount, at the latest when the processes have ended that are still there after a failure."""
    if subprocess.run(["umount", target], check=False, stderr=subprocess.DEVNULL).returncode:
        subprocess.run(["umount", "--lazy", target], check=True)


@contextmanager
def _fresh(kind: str, target: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", kind, kind, target], check=True)
    try:
        yield
    finally:
        _unmount(target)


@contextmanager
def _system(root: Path) -> Iterator[None]:
    """Give a root what a container engine gives: devices, processes, and names of hosts."""
    with _bound(Path("/dev"), root / "dev"), _fresh("proc", root / "proc"), _fresh("tmpfs", root / "run"):
        resolver = root / "etc/resolv.conf"
        resolver.unlink(missing_ok=True)
        shutil.copy("/etc/resolv.conf", resolver)
        shutil.copy("/etc/hosts", root / "etc/hosts")
        yield


def _size_of(folder: Path) -> int:
    return int(subprocess.run(["du", "-s", "-B1", folder], capture_output=True, check=True).stdout.split()[0])
