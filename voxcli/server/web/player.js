/** Playback of speech that is still arriving, and WAV files. */

import { PlayQueue } from './queue.js';

const REST_MILLISECONDS = 30000;
export const WORKLET = new URL('worklet.js', import.meta.url);

export class Player {
	context = null;
	#post = Promise.resolve(() => {}); // passes messages to the queue, once it is there
	#id = 0;
	#rest = 0;

	/** @param {(report: object) => void} onReport in seconds; `first`, of the first audible sample, as performance.now() */
	constructor(onReport) {
		this.onReport = onReport;
	}

	/** Open the loudspeaker for a sample rate in Hz. Browsers keep it silent until a click or a key. */
	prepare(rate) {
		if (this.context?.sampleRate === rate) return;
		this.context?.close();
		this.context = new AudioContext({ sampleRate: rate, latencyHint: 'interactive' });
		this.#post = connect(this.context, (report) => this.#take(report, rate));
	}

	resume() {
		clearTimeout(this.#rest);
		if (this.context?.state === 'suspended') this.context.resume();
	}

	/** Begin a speech; what is being played stops. Returns a number for the calls that follow. */
	start(rate) {
		this.stop();
		this.prepare(rate);
		this.resume();
		this.send(this.#id, 'start');
		return this.#id;
	}

	/** @param {'samples' | 'boundary' | 'end'} type */
	send(id, type, samples) {
		this.#post.then((post) => post({ type, id, samples }));
	}

	stop() {
		this.send(this.#id++, 'stop');
		this.#sleep();
	}

	#take({ id, first, played, waited, underruns, done }, rate) {
		if (id !== this.#id) return;
		if (done) this.#sleep();
		first &&= performance.now() - (this.context.currentTime - first) * 1000;
		this.onReport({ first, played: played / rate, waited: waited / rate, underruns, done });
	}

	/** Let the sound card rest when nothing has been played for a while. */
	#sleep() {
		clearTimeout(this.#rest);
		this.#rest = setTimeout(() => this.context?.suspend(), REST_MILLISECONDS);
	}
}

/** Connect a queue to the loudspeaker; returns what takes its messages. */
async function connect(context, onReport) {
	if (!context.audioWorklet) {
		// Pages over plain http from another machine have no worklets.
		const queue = new PlayQueue(context.sampleRate, onReport);
		const node = context.createScriptProcessor(1024, 0, 1);
		node.onaudioprocess = ({ outputBuffer, playbackTime }) => queue.fill(outputBuffer.getChannelData(0), playbackTime);
		node.connect(context.destination);
		return (message) => queue.take(message);
	}
	await context.audioWorklet.addModule(WORKLET);
	const node = new AudioWorkletNode(context, 'vox-player', { numberOfInputs: 0, outputChannelCount: [1] });
	node.port.onmessage = ({ data }) => onReport(data);
	node.connect(context.destination);
	return (message) => node.port.postMessage(message, message.samples ? [message.samples.buffer] : []);
}

export const toFloats = (pcm) => Float32Array.from(new Int16Array(pcm), (one) => one / 32768);

export const toPcm = (floats) => Int16Array.from(floats, (one) => Math.max(-1, Math.min(one, 1)) * 32767);

/** A WAV file of mono 16-bit samples. */
export function toWav(parts, rate) {
	const size = parts.reduce((sum, part) => sum + part.byteLength, 0);
	const [riff, wave, format, data] = ['RIFF', 'WAVE', 'fmt ', 'data'].map((name) => new TextEncoder().encode(name));
	const numbers = Int32Array.of(16, 0x10001, rate, 2 * rate, 0x100002); // mono PCM, 2 bytes, 16 bits
	const header = [riff, Int32Array.of(36 + size), wave, format, numbers, data, Int32Array.of(size)];
	return new Blob([...header, ...parts], { type: 'audio/wav' });
}
