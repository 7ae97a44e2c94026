/** Waveform of a speech: what has arrived, and what of it has been played. */

import { PEAKS_PER_SECOND } from './utterance.js';

const PITCH = 4;
const LEAST_SECONDS = 3;

export function drawWave(canvas, speech) {
	const { clientWidth: width, clientHeight: height } = canvas;
	const scale = devicePixelRatio;
	Object.assign(canvas, { width: width * scale, height: height * scale });
	const pen = canvas.getContext('2d');
	const { color: played, caretColor: ahead, outlineColor: empty } = getComputedStyle(canvas);
	pen.scale(scale, scale);
	const bars = Math.floor(width / PITCH);
	const perBar = Math.max(speech.seconds, LEAST_SECONDS) / bars;
	for (let i = 0; i < bars; i++) {
		const from = Math.floor(i * perBar * PEAKS_PER_SECOND);
		const part = speech.peaks.slice(from, Math.max(from + 1, (i + 1) * perBar * PEAKS_PER_SECOND));
		const tall = part.length ? Math.max(3, Math.sqrt(Math.max(...part)) * height) : 2;
		pen.fillStyle = !part.length ? empty : i * perBar < speech.played ? played : ahead;
		pen.fillRect(i * PITCH, (height - tall) / 2, 2, tall);
	}
}
