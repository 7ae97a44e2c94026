/** Audio worklets: a player that is fed while it plays, and a recorder. They run on the audio thread. */

const AUDIBLE = 1e-3;
const REPORT_SECONDS = 0.04;

/**
 * Plays what arrives, from the first samples on. It waits `hold` seconds before the first sound, unless `plenty` has
 * arrived, so that a network that is a little uneven is not heard. Between two sentences it waits rather than begin
 * one that would break off.
 */
class VoxPlayer extends AudioWorkletProcessor {
	constructor() {
		super();
		this.port.onmessage = ({ data }) => this.take(data);
		this.reset({});
	}

	reset({ hold = 0.035, plenty = 0.2, between = 0.15 }) {
		this.hold = hold * sampleRate;
		this.plenty = plenty * sampleRate;
		this.between = between * sampleRate;
		this.queue = []; // Float32Array, or null between two sentences
		this.offset = this.buffered = this.age = this.played = this.missing = this.waited = this.underruns = 0;
		this.first = null;
		this.state = 'idle';
		this.ended = false;
		this.reported = 0;
	}

	take(data) {
		if (data.type === 'start') {
			this.reset(data);
			this.id = data.id;
			this.state = 'filling';
		} else if (data.type === 'stop') {
			this.reset({});
		} else if (this.state === 'idle' || data.id !== this.id) {
			return;
		} else if (data.type === 'samples') {
			this.queue.push(data.samples);
			this.buffered += data.samples.length;
		} else if (data.type === 'boundary') {
			this.queue.push(null);
		} else if (data.type === 'end') {
			this.ended = true;
		}
	}

	/** Whether enough has arrived to begin, or to go on. */
	ready(seconds) {
		return this.ended || this.buffered >= seconds;
	}

	process(_inputs, [[out]]) {
		if (this.state === 'idle') return true;
		const count = out.length;
		if (this.state === 'filling') {
			if (this.buffered) this.age += count;
			if (this.age >= this.hold || this.ready(this.plenty)) this.state = 'playing';
		} else if (this.state === 'starved') {
			if (this.ready(2 * this.between)) this.state = 'playing';
			else this.missing += count;
		} else if (this.state === 'between') {
			if (this.ready(this.between)) this.state = 'playing';
			else this.waited += count;
		}
		if (this.state === 'playing') this.fill(out);
		if (currentTime - this.reported > REPORT_SECONDS) this.report();
		return true;
	}

	fill(out) {
		let at = 0;
		while (at < out.length) {
			const block = this.queue[0];
			if (block === undefined) {
				if (this.ended) {
					this.state = 'idle';
				} else {
					this.state = 'starved';
					this.underruns++;
					this.missing += out.length - at;
				}
				this.report(this.ended);
				return;
			}
			if (block === null) {
				this.queue.shift();
				if (!this.ready(this.between)) {
					this.state = 'between';
					this.waited += out.length - at;
					return;
				}
				continue;
			}
			const size = Math.min(block.length - this.offset, out.length - at);
			out.set(block.subarray(this.offset, this.offset + size), at);
			if (this.first === null) this.look(out, at, size);
			at += size;
			this.offset += size;
			this.played += size;
			this.buffered -= size;
			if (this.offset === block.length) {
				this.queue.shift();
				this.offset = 0;
			}
		}
	}

	look(out, at, size) {
		for (let i = at; i < at + size; i++) {
			if (Math.abs(out[i]) > AUDIBLE) {
				this.first = currentTime + i / sampleRate;
				this.report();
				return;
			}
		}
	}

	report(done = false) {
		const { id, played, missing, waited, underruns, first, buffered, state } = this;
		this.reported = currentTime;
		this.port.postMessage({ id, played, missing, waited, underruns, first, buffered, state, done, now: currentTime });
	}
}

/** Passes on what a microphone gives, in blocks. */
class VoxRecorder extends AudioWorkletProcessor {
	constructor() {
		super();
		this.block = new Float32Array(2048);
		this.filled = 0;
	}

	process([[input]]) {
		if (!input) return true;
		this.block.set(input, this.filled);
		this.filled += input.length;
		if (this.filled === this.block.length) {
			this.port.postMessage(this.block.slice());
			this.filled = 0;
		}
		return true;
	}
}

registerProcessor('vox-player', VoxPlayer);
registerProcessor('vox-recorder', VoxRecorder);
