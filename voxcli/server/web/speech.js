/** Speech from the server: over a WebSocket, or as one streamed answer where there can be none. */

import { Problem, openSocket, request, savedKey } from './api.js';

/**
 * @typedef {object} Events what is called while the speech arrives
 * @property {(rate: number) => void} onBegin before the first samples; the rate is in Hz
 * @property {(pcm: ArrayBuffer) => void} onSamples signed 16-bit samples
 * @property {(sentence: {start: number, end: number, second: number}) => void} [onSentence] where it is in the text
 * @property {() => void} [onBoundary] between two sentences
 * @property {(names: string[]) => void} [onIgnored] settings that make no difference
 */

const PATH = 'v1/audio/speech/stream';
const OPENING_MILLISECONDS = 3000;
const SETTINGS = ['voice', 'language', 'speed', 'steps', 'instructions', 'seed', 'ref_audio', 'ref_text'];

/** @type {WebSocket | null} */
let socket = null;
let configured = '';
let withoutSockets = false;

/**
 * Speak a text. Resolves when everything has arrived.
 * @param {object} wanted `input`, and the settings
 * @param {Events} events
 * @param {AbortSignal} signal
 * @returns {Promise<'websocket' | 'fetch'>} how it came
 */
export async function speak(wanted, events, signal) {
	if (!withoutSockets && (await connected())) {
		await overSocket(wanted, events, signal);
		return 'websocket';
	}
	signal.throwIfAborted();
	const key = savedKey();
	await overFetch(wanted, events, signal);
	withoutSockets = key === savedKey(); // with the key that was just asked for there may be one
	return 'fetch';
}

/** Open the socket, if that can be done. Proxies that do not know WebSockets refuse it. */
export async function connected() {
	if (socket?.readyState === WebSocket.OPEN) return true;
	const one = openSocket(PATH);
	socket = one;
	configured = '';
	const opened = await new Promise((resolve) => {
		one.onopen = () => resolve(true);
		one.onclose = one.onerror = () => resolve(false);
		setTimeout(resolve, OPENING_MILLISECONDS, false);
	});
	if (!opened) one.close();
	return opened;
}

async function overSocket(wanted, events, signal) {
	const one = socket;
	const settings = { type: 'session.config', stream_audio: true, response_format: 'pcm' };
	for (const name of SETTINGS) if (wanted[name] !== undefined) settings[name] = wanted[name];
	const config = JSON.stringify(settings);
	await new Promise((resolve, reject) => {
		const say = () => {
			one.send(JSON.stringify({ type: 'input.text', text: wanted.input }));
			one.send('{"type":"input.done"}');
		};
		const fail = (error) => {
			leave();
			reject(error);
		};
		const abort = () => {
			one.close();
			fail(new DOMException('stopped', 'AbortError'));
		};
		const leave = () => {
			one.onmessage = one.onclose = null;
			signal.removeEventListener('abort', abort);
		};
		let began = false;
		signal.addEventListener('abort', abort);
		if (signal.aborted) abort();
		one.onclose = ({ reason }) => fail(new Problem(reason || 'broken'));
		one.onmessage = ({ data }) => {
			if (typeof data !== 'string') return events.onSamples(data);
			const message = JSON.parse(data);
			switch (message.type) {
				case 'session.configured':
					configured = config;
					events.onIgnored?.(message.ignored ?? []);
					say();
					break;
				case 'audio.start':
					if (!began) events.onBegin(message.sample_rate);
					began = true;
					events.onSentence?.({ start: message.text_start, end: message.text_end, second: message.start_ms / 1000 });
					break;
				case 'audio.done':
					events.onBoundary?.();
					break;
				case 'error':
					one.close();
					fail(new Problem(message.message));
					break;
				case 'session.done':
					leave();
					resolve();
			}
			return undefined;
		};
		if (config === configured) say();
		else one.send(config);
	});
}

async function overFetch(wanted, events, signal) {
	const { ref_audio: clip, ref_text: _, ...json } = wanted;
	if (clip) throw new Problem('no_sockets');
	const answer = await request('v1/audio/speech', { json: { ...json, response_format: 'pcm' }, signal });
	events.onIgnored?.((answer.headers.get('x-voxcli-ignored') ?? '').split(', ').filter(Boolean));
	events.onBegin(Number(answer.headers.get('x-sample-rate')));
	const reader = answer.body.getReader();
	let odd = new Uint8Array(0);
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			const bytes = new Uint8Array(odd.length + value.length);
			bytes.set(odd);
			bytes.set(value, odd.length);
			const even = bytes.length & ~1; // a sample may be cut in two
			odd = bytes.slice(even);
			if (even) events.onSamples(bytes.slice(0, even).buffer);
		}
	} catch (error) {
		throw error.name === 'AbortError' ? error : new Problem('broken');
	}
}

/** The same as a client that does not stream: nothing is heard before everything is there. */
export async function speakWhole(wanted, events, signal) {
	const answer = await request('v1/audio/speech', { json: { ...wanted, response_format: 'pcm' }, signal });
	const data = await answer.arrayBuffer();
	events.onBegin(Number(answer.headers.get('x-sample-rate')));
	events.onSamples(data);
	return 'fetch';
}
