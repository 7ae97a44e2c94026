/** Playback of speech that is still arriving, and WAV files. */

/**
 * @typedef {object} Progress
 * @property {number} played seconds of the speech that have been played
 * @property {number} buffered seconds that wait
 * @property {number} underruns how often it broke off
 * @property {number} waited seconds by which pauses between sentences were lengthened
 * @property {number | null} first when the first audible sample was played, as performance.now()
 * @property {boolean} done
 */

const HOLD = 0.035;
const AFTER_UNDERRUN = 0.3;
const AUDIBLE = 1e-3;
const IDLE_MILLISECONDS = 30000;

export class Player {
	/** @type {AudioContext | null} */
	context = null;
	#output = null;
	/** @type {Promise<void>} */
	#opened = Promise.resolve();
	#started = this.#opened;
	#id = 0;
	#idle = 0;

	/** @param {(progress: Progress) => void} onProgress */
	constructor(onProgress) {
		this.onProgress = onProgress;
	}

	/** Open the loudspeaker for a sample rate in Hz. Browsers are silent until `resume` is called by a click or a key. */
	prepare(rate) {
		if (this.context?.sampleRate === rate) return this.#opened;
		this.context?.close();
		const context = new AudioContext({ sampleRate: rate, latencyHint: 'interactive' });
		this.context = context;
		this.#opened = (async () => {
			// Without a secure context (plain http to another machine) there are no worklets.
			const output = context.audioWorklet ? await workletOutput(context) : new ScheduledOutput(context);
			output.onreport = (report) => this.#take(report);
			this.#output = output;
		})();
		return this.#opened;
	}

	resume() {
		clearTimeout(this.#idle);
		if (this.context?.state === 'suspended') this.context.resume();
	}

	/** Begin a speech; what is being played stops. Returns a number for the calls that follow. */
	start(rate) {
		this.stop();
		const id = this.#id;
		const opened = this.prepare(rate);
		this.resume();
		this.#started = opened.then(() => this.#output.start(id));
		return id;
	}

	/** @param {number} id of `start` @param {Float32Array<ArrayBuffer>} samples which are handed over */
	push(id, samples) {
		if (samples.length) this.#later(id, (output) => output.push(id, samples));
	}

	boundary(id) {
		this.#later(id, (output) => output.boundary(id));
	}

	end(id) {
		this.#later(id, (output) => output.end(id));
	}

	stop() {
		this.#id++;
		this.#output?.stop();
		this.#sleep();
	}

	#later(id, call) {
		this.#started.then(() => id === this.#id && call(this.#output));
	}

	#take(report) {
		if (report.id !== this.#id) return;
		const rate = this.context.sampleRate;
		const first = report.first === null ? null : performance.now() - (report.now - report.first) * 1000;
		const { underruns, done } = report;
		if (done) this.#sleep();
		const [played, buffered, waited] = [report.played, report.buffered, report.waited].map((count) => count / rate);
		this.onProgress({ played, buffered, waited, underruns, first, done });
	}

	/** Let the sound card rest when nothing has been played for a while. */
	#sleep() {
		clearTimeout(this.#idle);
		this.#idle = setTimeout(() => this.context?.suspend(), IDLE_MILLISECONDS);
	}
}

async function workletOutput(context) {
	await context.audioWorklet.addModule(new URL('worklet.js', import.meta.url));
	const node = new AudioWorkletNode(context, 'vox-player', { numberOfInputs: 0, outputChannelCount: [1] });
	node.connect(context.destination);
	const post = (type, id, more) => node.port.postMessage({ type, id, ...more });
	const output = {
		onreport: null,
		start: (id) => post('start', id, { hold: HOLD }),
		push: (id, samples) => node.port.postMessage({ type: 'samples', id, samples }, [samples.buffer]),
		boundary: (id) => post('boundary', id),
		end: (id) => post('end', id),
		stop: () => post('stop'),
	};
	node.port.onmessage = ({ data }) => output.onreport?.(data);
	return output;
}

/** The same with scheduled buffers, for browsers and pages without worklets. */
class ScheduledOutput {
	onreport = null;
	#sources = new Set();
	#timer = 0;

	constructor(context) {
		this.context = context;
	}

	start(id) {
		this.stop();
		Object.assign(this, { id, next: 0, pushed: 0, underruns: 0, waited: 0, first: null, ended: false, atBoundary: false });
		this.#timer = setInterval(() => this.#report(), 40);
	}

	push(_id, samples) {
		const { context } = this;
		const rate = context.sampleRate;
		const now = context.currentTime;
		if (!this.next) {
			this.next = now + HOLD;
		} else if (this.next < now) {
			if (this.atBoundary) this.waited += (now - this.next) * rate;
			else this.underruns++;
			this.next = now + (this.atBoundary ? HOLD : AFTER_UNDERRUN);
		}
		this.atBoundary = false;
		const audible = this.first === null ? samples.findIndex((one) => Math.abs(one) > AUDIBLE) : -1;
		if (audible >= 0) this.first = this.next + audible / rate;
		const buffer = context.createBuffer(1, samples.length, rate);
		buffer.copyToChannel(samples, 0);
		const source = new AudioBufferSourceNode(context, { buffer });
		source.connect(context.destination);
		source.onended = () => this.#sources.delete(source);
		source.start(this.next);
		this.#sources.add(source);
		this.next += buffer.duration;
		this.pushed += samples.length;
	}

	boundary() {
		this.atBoundary = true;
	}

	end() {
		this.ended = true;
	}

	stop() {
		clearInterval(this.#timer);
		for (const source of this.#sources) source.stop();
		this.#sources.clear();
	}

	#report() {
		const now = this.context.currentTime;
		const left = Math.max(0, this.next - now) * this.context.sampleRate;
		const buffered = Math.min(left, this.pushed);
		const first = this.first !== null && this.first <= now ? this.first : null;
		const done = this.ended && this.next <= now;
		if (done) clearInterval(this.#timer);
		const { id, underruns, waited, pushed } = this;
		this.onreport?.({ id, played: pushed - buffered, buffered, underruns, waited, first, done, now });
	}
}

/** Signed 16-bit samples, little endian, as floats. @param {ArrayBuffer | Uint8Array} bytes */
export function toFloats(bytes) {
	const view = ArrayBuffer.isView(bytes)
		? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
		: new DataView(bytes);
	const floats = new Float32Array(view.byteLength >> 1);
	for (let i = 0; i < floats.length; i++) floats[i] = view.getInt16(2 * i, true) / 32768;
	return floats;
}

/** Floats as signed 16-bit samples. @param {Float32Array} floats */
export function toPcm(floats) {
	const pcm = new Int16Array(floats.length);
	for (let i = 0; i < floats.length; i++) pcm[i] = Math.max(-32768, Math.min(32767, Math.round(floats[i] * 32768)));
	return pcm;
}

/** A WAV file of mono 16-bit samples. @param {BlobPart[]} parts @param {number} rate in Hz */
export function toWav(parts, rate) {
	const size = parts.reduce((sum, part) => sum + part.byteLength, 0);
	const header = new DataView(new ArrayBuffer(44));
	const text = (at, letters) => [...letters].forEach((letter, i) => header.setUint8(at + i, letter.charCodeAt(0)));
	text(0, 'RIFF');
	text(8, 'WAVEfmt ');
	text(36, 'data');
	for (const [at, value] of [[4, 36 + size], [16, 16], [24, rate], [28, 2 * rate], [40, size]]) {
		header.setUint32(at, value, true);
	}
	for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) header.setUint16(at, value, true);
	return new Blob([header, ...parts], { type: 'audio/wav' });
}
