"""Follows orders for a Speaker, in a process whose environment chooses the sound server.

Its arguments are SAMPLES.npy and ORDERS.json, with the orders
    speaker   the arguments of Speaker; its start buffer as seconds
    rate      of the samples, in Hz
    steps     ["write", from, to] samples, ["rate", of those that follow], ["pause", seconds], ["idle"], ["say", word],
              ["await"] a line, ["time", name], ["until sounding"], ["raise", error]
Prints its words one to a line, and the outcome in JSON at the end.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.devices import speaker as speaker_module
from voxcli.devices.playback import Playback
from voxcli.devices.speaker import Speaker
from voxcli.errors import VoxError

ERRORS: dict[str, type[BaseException]] = {"interrupt": KeyboardInterrupt, "bug": RuntimeError}


class WatchedPlayback(Playback):
    """A playback queue that can be found again."""

    newest: Playback | None = None

    def __init__(self, **settings: int) -> None:
        super().__init__(**settings)
        WatchedPlayback.newest = self


class Player:
    def __init__(self, speaker: Speaker, samples: Samples, rate: int) -> None:
        self.speaker = speaker
        self.samples = samples
        self.rate = rate
        self.times: dict[str, float] = {}

    def follow(self, order: str, *arguments: Any) -> None:
        match order, arguments:
            case "write", [start, end]:
                self.speaker.write(AudioChunk(self.samples[start:end], self.rate))
            case "rate", [rate]:
                self.rate = rate
            case "pause", [seconds]:
                time.sleep(seconds)
            case "idle", []:
                self.speaker.idle()
            case "say", [word]:
                say(word)
            case "await", []:
                sys.stdin.readline()
            case "time", [name]:
                self.times[name] = time.monotonic()
            case "until sounding", []:
                while not taken_samples():
                    time.sleep(0)
            case "raise", [error]:
                raise ERRORS[error]
            case _:
                raise ValueError(order)


def taken_samples() -> int:
    return WatchedPlayback.newest.taken if WatchedPlayback.newest else 0


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    orders = json.loads(Path(sys.argv[2]).read_text())
    speaker_module.Playback = WatchedPlayback  # type: ignore[misc]
    settings = orders["speaker"]
    if (seconds := settings.pop("start_buffer", None)) is not None:
        settings["start_buffer"] = lambda queued: seconds
    speaker = Speaker(**settings)
    player = Player(speaker, np.load(Path(sys.argv[1])), orders["rate"])
    failure = None
    player.follow("time", "begin")
    try:
        with speaker:
            player.follow("time", "open")
            for step in orders["steps"]:
                player.follow(*step)
    except (VoxError, KeyboardInterrupt, RuntimeError) as error:
        failure = error
    player.follow("time", "end")
    outcome = {
        "error": failure and type(failure).__name__,
        "message": str(failure),
        "times": player.times,
        "underruns": speaker.underruns,
        "starved_seconds": speaker.starved_seconds,
        "taken_samples": taken_samples(),
        "latency_seconds": speaker._stream.latency if speaker._stream else None,
    }
    say(json.dumps(outcome))
