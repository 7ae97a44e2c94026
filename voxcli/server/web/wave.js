/** Waveform of a speech: what has arrived, and what of it has been played. */

const PITCH = 4;
const BAR = 2;
const LEAST_SECONDS = 3;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{peaks: number[], seconds: number, played: number} | null} speech
 */
export function drawWave(canvas, speech) {
	const scale = window.devicePixelRatio || 1;
	const { clientWidth: width, clientHeight: height } = canvas;
	if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
		canvas.width = Math.round(width * scale);
		canvas.height = Math.round(height * scale);
	}
	const pen = canvas.getContext('2d');
	const { color: played, caretColor: ahead, outlineColor: line } = getComputedStyle(canvas);
	pen.setTransform(scale, 0, 0, scale, 0, 0);
	pen.clearRect(0, 0, width, height);
	const peaks = speech?.peaks ?? [];
	const seconds = Math.max(LEAST_SECONDS, speech?.seconds ?? 0);
	const bars = Math.floor(width / PITCH);
	const perBar = (seconds * 50) / bars;
	const reached = speech ? (speech.played / seconds) * bars : 0;
	for (let i = 0; i < bars; i++) {
		const from = Math.floor(i * perBar);
		const part = peaks.slice(from, Math.max(from + 1, Math.floor((i + 1) * perBar)));
		const loud = part.length ? Math.max(...part) : 0;
		const tall = part.length ? Math.max(3, Math.sqrt(loud) * height) : 2;
		pen.fillStyle = !part.length ? line : i < reached ? played : ahead;
		pen.beginPath();
		pen.roundRect(i * PITCH, (height - tall) / 2, BAR, tall, 1);
		pen.fill();
	}
}
