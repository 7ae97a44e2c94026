/** One speech, from the request to its last sample, and the player of all. */

import { Player, toFloats } from './player.js';
import { speak } from './speech.js';

export const PEAKS_PER_SECOND = 50;

let current = null;

export const player = new Player((report) => current?.advance(report));

export const stopAll = () => current?.stop();

export class Utterance {
	// Times as performance.now().
	firstByte = null;
	firstSound = null;
	received = null;
	chunks = 0;
	samples = 0;
	rate = 0;
	underruns = 0;
	waited = 0; // seconds by which pauses between sentences were lengthened
	played = 0;
	peaks = []; // the loudest sample of every fiftieth of a second
	parts = [];
	sentences = [];
	ignored = [];
	isPlaying = false;
	#id = 0;
	#abort = new AbortController();
	#finish = () => {};

	/** @param {(utterance: Utterance) => void} update called whenever something has changed */
	constructor(wanted, update = () => {}, source = speak) {
		Object.assign(this, { wanted, update, source });
	}

	get seconds() {
		return this.samples / (this.rate || 1);
	}

	/** Seconds of work for a second of speech, once everything is there. */
	get factor() {
		return this.received && this.samples ? (this.received - this.asked) / 1000 / this.seconds : null;
	}

	/** The sentence that is being played, if it is known. */
	get sentence() {
		return this.sentences.findLast((one) => this.isPlaying && one.second <= this.played + 0.02);
	}

	/** Speak it, and resolve when it has been played or stopped. What arrived before an error is played. */
	async run() {
		current?.stop();
		current = this;
		this.isPlaying = true;
		player.resume();
		const heard = new Promise((resolve) => (this.#finish = resolve));
		this.asked = performance.now();
		try {
			this.how = await this.source(this.wanted, this, this.#abort.signal);
			this.received = performance.now();
		} catch (error) {
			if (error.name !== 'AbortError') throw error;
		} finally {
			if (this.samples) player.send(this.#id, 'end');
			else this.stop();
			this.update(this);
		}
		return heard;
	}

	stop() {
		this.#abort.abort();
		if (current === this) player.stop();
		this.#end();
	}

	onBegin(rate) {
		if (this.rate) return;
		this.rate = rate;
		this.#id = player.start(rate);
	}

	onSamples(pcm) {
		this.firstByte ??= performance.now();
		this.chunks++;
		this.parts.push(pcm);
		const floats = toFloats(pcm);
		this.samples += floats.length;
		const size = Math.round(this.rate / PEAKS_PER_SECOND);
		for (let at = 0; at < floats.length; at += size) {
			this.peaks.push(Math.max(...floats.subarray(at, at + size).map(Math.abs)));
		}
		player.send(this.#id, 'samples', floats);
		this.update(this);
	}

	onSentence(place) {
		this.sentences.push(place);
	}

	onBoundary() {
		player.send(this.#id, 'boundary');
	}

	onIgnored(names) {
		this.ignored = names;
	}

	advance({ played, underruns, waited, first, done }) {
		Object.assign(this, { played, underruns, waited });
		this.firstSound ??= first && Math.max(first, this.firstByte);
		if (done) this.#end();
		this.update(this);
	}

	#end() {
		this.isPlaying = false;
		this.#finish();
		this.update(this);
	}
}
