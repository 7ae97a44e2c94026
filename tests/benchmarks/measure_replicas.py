"""What Ray Serve costs: the first byte and a cancellation, over a replica and over a plain server, in turns.

python tests/benchmarks/measure_replicas.py --rounds 200
"""

import argparse
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.server.cluster.replicated import SLOTS, started
from tests.server.raw import asked

TONE_SECONDS = 0.08
"""Which the first chunk takes: the tone is made at the speed at which it is heard."""
FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm", "sample_rate": 16000}


def first_byte(client: httpx.Client) -> float:
    """Return the milliseconds to the first byte, without those of the tone itself."""
    asked_at = time.perf_counter()
    with client.stream("POST", "/v1/audio/speech", json=FIELDS) as answer:
        next(answer.iter_raw())
        return 1000 * (time.perf_counter() - asked_at - TONE_SECONDS)


def next_in_turn(url: str) -> float:
    """Return the milliseconds from a client's leaving to the first byte of the one that waits for its slot."""
    with ExitStack() as stack:
        speaking = [stack.enter_context(asked(url, response_format="pcm")) for _ in range(SLOTS)]
        for client in speaking:
            client.read(2000)
        waiting = stack.enter_context(asked(url, response_format="pcm"))
        time.sleep(0.2)  # until it waits
        speaking[0].kill()
        left_at = time.perf_counter()
        waiting.read(1)
        first = 1000 * (time.perf_counter() - left_at - TONE_SECONDS)
        for client in (*speaking[1:], waiting):
            client.kill()
    time.sleep(0.5)  # until all slots are free
    return first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    with (
        started(0, 0, chunks=100) as plain,
        started(1, 1, chunks=100) as replica,
        httpx.Client(base_url=plain, timeout=60) as one,
        httpx.Client(base_url=replica, timeout=60) as other,
    ):
        clients = {"plain": one, "replica": other}
        bytes_of: dict[str, list[float]] = {name: [] for name in clients}
        turns: dict[str, list[float]] = {name: [] for name in clients}
        for number in range(given.rounds + 1):
            for name, client in clients.items():
                bytes_of[name].append(first_byte(client))
                if number % 5 == 0:
                    turns[name].append(next_in_turn(str(client.base_url)))
        for name in clients:
            first, turn = sorted(bytes_of[name][1:]), sorted(turns[name])
            late = first[int(0.95 * len(first))]
            print(f"{name:>8}: first byte {statistics.median(first):.1f} ms (95 % under {late:.1f})")
            print(f"{name:>8}: the next one in turn speaks {statistics.median(turn):.0f} ms after a client has left")


if __name__ == "__main__":
    main()
