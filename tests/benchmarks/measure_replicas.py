"""What Ray Serve costs: the first byte and a cancellation, over two replicas and over one plain server, in turns.

python tests/benchmarks/measure_replicas.py --rounds 200
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.server.cluster.replicated import started

TONE_SECONDS = 0.08
"""Which the first chunk takes: the tone is made at the speed at which it is heard."""
FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm", "sample_rate": 16000}


def one_stream(client: httpx.Client) -> tuple[float, float]:
    """Return the milliseconds to the first byte, without those of the tone itself, and from leaving to a free slot."""
    asked_at = time.perf_counter()
    with client.stream("POST", "/v1/audio/speech", json=FIELDS) as answer:
        next(answer.iter_raw())
        first = time.perf_counter() - asked_at - TONE_SECONDS
    left_at = time.perf_counter()
    while "voxcli_slots_used 0.0" not in client.get("/metrics").text:
        pass
    return 1000 * first, 1000 * (time.perf_counter() - left_at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    with (
        started(0, 0, chunks=100) as plain,
        started(2, 2, chunks=100) as replicas,
        httpx.Client(base_url=plain, timeout=60) as one,
        httpx.Client(base_url=replicas, timeout=60) as other,
    ):
        clients = {"plain": one, "replicas": other}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
        for _ in range(given.rounds + 1):
            for name, client in clients.items():
                found[name].append(one_stream(client))
        for name, times in found.items():
            first, free = (sorted(column) for column in zip(*times[1:], strict=True))
            late = int(0.95 * len(first))
            print(f"{name:>9}: first byte {statistics.median(first):.1f} ms (95 % under {first[late]:.1f})")
            print(f"{name:>9}: slot free {statistics.median(free):.0f} ms after leaving (95 % under {free[late]:.0f})")


if __name__ == "__main__":
    main()
