/** One speech, from the question to its last sample, and the player that all of them share. */

import { Player, toFloats, toWav } from './player.js';
import { speak } from './speech.js';

const RATE = 'voxcli-rate';
const PEAKS_PER_SECOND = 50;

/** @type {Utterance | null} */
let current = null;

export const player = new Player((progress) => current?.advance(progress));

/** Open the loudspeaker before it is needed. @param {number | null | undefined} rate in Hz, if the model tells it */
export const preparePlayer = (rate) => player.prepare(rate ?? (Number(localStorage.getItem(RATE)) || 44100));

export class Utterance {
	/** Times as performance.now(). @type {number | null} */
	firstByte = null;
	firstSound = null;
	received = null;
	chunks = 0;
	samples = 0;
	rate = 0;
	underruns = 0;
	waited = 0;
	played = 0;
	/** The loudest sample of every fiftieth of a second. @type {number[]} */
	peaks = [];
	/** @type {ArrayBuffer[]} */
	parts = [];
	sentences = [];
	ignored = [];
	isPlaying = false;
	#id = 0;
	#controller = new AbortController();
	#finish = () => {};

	/**
	 * @param {object} wanted text and settings
	 * @param {(utterance: Utterance) => void} update called whenever something has changed
	 * @param {typeof speak} source
	 */
	constructor(wanted, update, source = speak) {
		Object.assign(this, { wanted, update, source });
	}

	get seconds() {
		return this.rate ? this.samples / this.rate : 0;
	}

	/** Seconds of work for a second of speech, once everything is there. */
	get factor() {
		return this.received === null || !this.samples ? null : (this.received - this.asked) / 1000 / this.seconds;
	}

	/** The sentence that is being played, if it is known. */
	get sentence() {
		return this.isPlaying ? this.sentences.findLast((one) => one.second <= this.played + 0.02) : undefined;
	}

	/** Speak it, and resolve when it has been played or stopped. */
	async run() {
		begin(this);
		this.asked = performance.now();
		const heard = new Promise((resolve) => (this.#finish = resolve));
		try {
			this.how = await this.source(this.wanted, this, this.#controller.signal);
			this.received = performance.now();
		} catch (error) {
			if (error.name !== 'AbortError') throw error;
		} finally {
			// What has arrived is played to its end, also if the rest is missing.
			if (this.samples && this.isPlaying) player.end(this.#id);
			else this.stop();
			this.update(this);
		}
		await heard;
	}

	/** Play it once more. */
	async again() {
		begin(this);
		const heard = new Promise((resolve) => (this.#finish = resolve));
		this.#id = player.start(this.rate);
		for (const part of this.parts) player.push(this.#id, toFloats(part));
		player.end(this.#id);
		await heard;
	}

	stop() {
		this.#controller.abort();
		if (current === this) player.stop();
		this.#end();
	}

	toWav() {
		return toWav(this.parts, this.rate);
	}

	// What the source calls.

	onBegin(rate) {
		this.rate = rate;
		localStorage.setItem(RATE, rate);
		if (this.isPlaying) this.#id = player.start(rate);
	}

	onSamples(data) {
		this.firstByte ??= performance.now();
		this.chunks++;
		this.parts.push(data);
		const floats = toFloats(data);
		this.#measure(floats);
		this.samples += floats.length;
		if (this.isPlaying) player.push(this.#id, floats);
		this.update(this);
	}

	onSentence(place) {
		this.sentences.push(place);
	}

	onBoundary() {
		player.boundary(this.#id);
	}

	onIgnored(names) {
		this.ignored = names;
	}

	/** @param {import('./player.js').Progress} progress */
	advance({ played, underruns, waited, first, done }) {
		Object.assign(this, { played, underruns, waited });
		this.firstSound ??= first;
		if (done) this.#end();
		this.update(this);
	}

	#measure(floats) {
		const size = Math.round(this.rate / PEAKS_PER_SECOND);
		for (let at = 0; at < floats.length; at += size) {
			let peak = 0;
			for (const one of floats.subarray(at, at + size)) peak = Math.max(peak, Math.abs(one));
			this.peaks.push(peak);
		}
	}

	#end() {
		this.isPlaying = false;
		this.#finish();
		this.update(this);
	}
}

function begin(utterance) {
	current?.stop();
	current = utterance;
	utterance.isPlaying = true;
	player.resume();
}

export const stopAll = () => current?.stop();
