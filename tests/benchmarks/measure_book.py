"""Long books: killed again and again, resumed, and looked at with other programs.

    python tests/benchmarks/measure_book.py --model espeak                  # 60,000 words, 20 chapters, 5 kills
    python tests/benchmarks/measure_book.py --words 400 --chapters 3 -- --remote http://127.0.0.1:8000

What follows -- goes to `voxcli say`. Needs ffmpeg, and mpv if it is there.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutagen.mp4 import MP4

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.generated_book import chapters, generated_epub


def say(folder: Path, options: list[str]) -> list[str]:
    return [sys.executable, "-m", "voxcli", "say", "-f", "novel.epub", "-o", "novel.m4b", "--json", *options]


def run_until(command: list[str], folder: Path, sentences: int | None) -> tuple[int, dict[str, object]]:
    """Run until so many sentences are there, then kill it. Return how many there are, and the last event."""
    there, event = 0, {}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "sentence":
                there = event["sentences"]
                if sentences is not None and there >= sentences:
                    os.kill(process.pid, signal.SIGKILL)
                    break
    return there, event


def seen_by_others(path: Path) -> dict[str, tuple[float, list[float]]]:
    """Return the length and the starts of the chapters as other programs see them."""
    probe = ["ffprobe", "-v", "error", "-show_chapters", "-show_format", "-of", "json", str(path)]
    found = json.loads(subprocess.run(probe, capture_output=True, check=True).stdout)
    tagged = MP4(path)
    seen = {
        "ffprobe": (float(found["format"]["duration"]), [float(one["start_time"]) for one in found["chapters"]]),
        "mutagen": (tagged.info.length, [one.start for one in tagged.chapters]),
    }
    decoding = ["ffmpeg", "-hide_banner", "-i", str(path), "-map", "0:a", "-f", "null", "-"]
    times = re.findall(r"time=(\d+):(\d+):([\d.]+)", subprocess.run(decoding, capture_output=True, text=True).stderr)
    hours, minutes, seconds = times[-1]
    seen["ffmpeg, decoded"] = (3600 * int(hours) + 60 * int(minutes) + float(seconds), [])
    if shutil.which("mpv"):
        playing = ["mpv", "--no-config", "--vo=null", "--ao=null", "--length=1", "--no-audio-display"]
        playing += ["--term-playing-msg=VOX ${=duration} ${chapter-list/count} END"]
        said = subprocess.run([*playing, str(path)], capture_output=True, text=True).stdout
        length, count = re.findall(r"VOX ([\d.]+) (\d+) END", said)[0]
        seen["mpv"] = (float(length), [0.0] * int(count))
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=60_000)
    parser.add_argument("--chapters", type=int, default=20)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default=None)
    parser.add_argument("--compare", action="store_true", help="make it in one go too, and compare the bytes")
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args()
    rest = [*(["--model", options.model] if options.model else []), *options.rest]
    with tempfile.TemporaryDirectory(prefix="voxcli-book-") as place:
        folder = Path(place)
        (folder / "novel.epub").write_bytes(generated_epub(options.words, options.chapters, options.seed))
        made = list(chapters(options.words, options.chapters, options.seed))
        words = sum(len(paragraph.split()) for _, paragraphs in made for paragraph in paragraphs)
        print(f"{words:,} words in {len(made)} chapters")
        begun, there = time.perf_counter(), 0
        draw = random.Random(options.seed)
        sentences = sum(paragraph.count(". ") + 1 for _, paragraphs in made for paragraph in paragraphs)
        for kill in sorted(draw.randint(1, sentences) for _ in range(options.kills)):
            before = there
            there, _ = run_until(say(folder, rest), folder, kill)
            print(f"killed at sentence {there:,} (there were {before:,})")
        _, last = run_until(say(folder, rest), folder, None)
        print(f"whole after {time.perf_counter() - begun:.0f} s, {last['audio_seconds']:,.1f} s of audio, {last}"[:300])
        whole = folder / "novel.m4b"
        seen = seen_by_others(whole)
        told = [chapter["start_seconds"] for chapter in last["chapters"]]  # type: ignore[index, union-attr]
        wrong = 0
        for name, (length, starts) in seen.items():
            apart = max((abs(a - b) for a, b in zip(starts, told, strict=True)), default=0.0) if any(starts) else 0.0
            longer = length - float(last["audio_seconds"])  # type: ignore[arg-type]
            wrong += abs(longer) > 0.1 or apart > 0.002 or (bool(starts) and len(starts) != len(told))
            print(
                f"{name}: {length:,.3f} s ({longer:+.3f}), {len(starts)} chapters, starts at most {apart:.4f} s apart"
            )
        if options.compare:
            digest = whole.read_bytes()
            whole.unlink()
            run_until(say(folder, rest), folder, None)
            wrong += whole.read_bytes() != digest
            print("the same bytes as in one go" if whole.read_bytes() == digest else "OTHER BYTES than in one go")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
