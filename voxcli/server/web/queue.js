/** Queue of samples, from their arrival to the loudspeaker. */

const AUDIBLE = 1e-3;
const REPORT = 0.04;
const HOLD = 0.035; // seconds before the first sound, so that an uneven network is not heard
/** Seconds of sound to wait for. A longer pause between sentences is better than a word that breaks off. */
const NEEDED = { filling: 0.2, between: 0.15, starved: 0.3 };
const RESERVE = 0.3; // seconds

export class PlayQueue {
	constructor(rate, report) {
		Object.assign(this, { rate, report });
		this.clear();
	}

	clear(id) {
		this.blocks = []; // Float32Array, or null between two sentences
		this.offset = this.buffered = this.age = this.played = this.waited = this.underruns = this.reported = 0;
		this.first = null;
		this.ended = false;
		this.id = id;
		this.state = id ? 'filling' : 'idle';
	}

	/** Messages of an earlier speech are passed over. */
	take({ type, id, samples = null }) {
		if (type === 'start') this.clear(id);
		else if (id !== this.id) return;
		else if (type === 'stop') this.clear();
		else if (type === 'end') this.ended = true;
		else {
			this.blocks.push(samples);
			this.buffered += samples?.length ?? 0;
		}
	}

	/** Fill a block of output. @param {Float32Array} out @param {number} now seconds */
	fill(out, now) {
		out.fill(0);
		if (this.state === 'idle') return;
		if (this.state === 'filling' && this.buffered) this.age += out.length;
		if (this.has(NEEDED[this.state] * Math.max(this.underruns, 1)) || this.age > HOLD * this.rate) {
			this.state = 'playing';
			this.age = 0;
		}
		let at = 0;
		while (this.state === 'playing' && at < out.length) at = this.copy(out, at, now);
		if (this.state === 'between') this.waited += out.length - at;
		if (this.state === 'idle' || Math.abs(now - this.reported) > REPORT) this.tell(now);
	}

	has(seconds) {
		return this.ended || this.buffered >= seconds * this.rate;
	}

	copy(out, at, now) {
		const block = this.blocks[0];
		if (block === undefined) {
			this.state = this.ended ? 'idle' : 'starved';
			if (!this.ended) this.underruns++;
			return at;
		}
		if (block === null) {
			this.next();
			if (!this.has(NEEDED.between)) this.state = 'between';
			return at;
		}
		const room = out.length - at;
		// While little waits, blocks are played a little slower.
		const slower = room > 99 && !this.has(RESERVE) ? 2 : 0;
		const piece = block.subarray(this.offset, this.offset + room - slower);
		const fits = piece.length === room - slower;
		if (fits && slower) stretch(piece, out.subarray(at));
		else out.set(piece, at);
		this.offset += piece.length;
		this.played += piece.length;
		this.buffered -= piece.length;
		if (this.offset === block.length) this.next();
		const heard = this.first ? -1 : piece.findIndex((one) => Math.abs(one) > AUDIBLE);
		if (heard >= 0) {
			this.first = now + (at + heard) / this.rate;
			this.tell(now);
		}
		return fits ? out.length : at + piece.length;
	}

	next() {
		this.blocks.shift();
		this.offset = 0;
	}

	tell(now) {
		this.reported = now;
		const { id, played, waited, underruns, first, state } = this;
		this.report({ id, played, waited, underruns, first, done: state === 'idle' });
	}
}

/** Fill a longer block with a shorter one, from its first sample to its last. */
function stretch(from, to) {
	const step = (from.length - 1) / (to.length - 1);
	for (let i = 0; i < to.length; i++) {
		const at = Math.floor(i * step);
		to[i] = from[at] + (i * step - at) * ((from[at + 1] ?? 0) - from[at]);
	}
}
