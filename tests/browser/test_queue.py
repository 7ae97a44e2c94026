"""The queue between the network and the loudspeaker, fed in every way, without a loudspeaker."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import Open, Page
from tests.server.running import running
from tests.server.tone import ToneEngine

FEED = """async ({ seed, sizes, late, rate }) => {
    const { PlayQueue } = await import(new URL('web/queue.js', document.baseURI));
    const reports = [], played = [];
    const queue = new PlayQueue(rate, (report) => reports.push(report));
    let random = seed, sent = 0, now = 0;
    const next = () => (random = (random * 48271) % 2147483647) / 2147483647;
    const fill = () => {
        const out = new Float32Array(128).fill(9);
        queue.fill(out, now / rate);
        now += out.length;
        played.push(...out);
    };
    const total = sizes.reduce((sum, size) => sum + size, 0);
    queue.take({ type: 'start', id: 7 });
    queue.take({ type: 'samples', id: 6, samples: new Float32Array(999).fill(5) });  // of an earlier speech
    for (const size of sizes) {
        const samples = Float32Array.from({ length: size }, () => ++sent / total);
        queue.take({ type: 'samples', id: 7, samples });
        if (next() < 0.3) queue.take({ type: 'boundary', id: 7 });
        for (let time = 0; time < size * late * 2 * next(); time += 128) fill();
    }
    queue.take({ type: 'end', id: 7 });
    while (!reports.at(-1)?.done) fill();
    fill();
    const sounding = played.filter(Boolean);
    const steps = sounding.slice(1).map((one, i) => one - sounding[i]);
    const [least, most] = steps.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [0, 0]);
    return { last: reports.at(-1), total, count: sounding.length, end: sounding.at(-1), least, most };
}"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(ToneEngine()) as server:
        yield server.url


@pytest.mark.parametrize("late", [0.0, 1.0, 3.0])
def test_every_sample_is_played_once_and_in_order(open_page: Open, url: str, late: float) -> None:
    page = open_page(url)
    for seed, size in enumerate((7, 128, 1000, 7056), 1):
        found = fed(page, seed, [size] * (20_000 // size), late)
        assert found["last"]["played"] == found["total"]
        assert found["end"] == pytest.approx(1.0)
        # Where little waits, samples are put between others, by one in sixty-three at most; none is left out.
        assert found["least"] >= 0
        assert found["most"] <= 1.01 / found["total"]
        assert found["total"] <= found["count"] <= found["total"] * 128 / 126 + 1
        if late == 0.0:
            assert found["last"]["underruns"] == 0


def test_nothing_is_played_of_a_speech_without_sound(open_page: Open, url: str) -> None:
    found = fed(open_page(url), 1, [], 0.0)
    assert found["count"] == 0
    assert found["last"] == {"id": 7, "played": 0, "waited": 0, "underruns": 0, "first": None, "done": True}


def fed(page: Page, seed: int, sizes: list[int], late: float) -> dict[str, Any]:
    """Feed a queue with a rising ramp; `late` is how much longer than its sound each piece takes to come."""
    found: dict[str, Any] = page.evaluate(FEED, {"seed": seed, "sizes": sizes, "late": late, "rate": 16000})
    return found
