/** Speech from the server: over a WebSocket, or as one streamed answer where there can be none. */

import { Problem, broken, openSocket, request, savedKey } from './api.js';

const OPENING_MILLISECONDS = 3000;

let socket = null;
let withoutSockets = false;

/** Speak a text, and resolve when everything has arrived. @param {import('./utterance.js').Utterance} events */
export async function speak(wanted, events, signal) {
	if (!withoutSockets && (await connected())) return overSocket(wanted, events, signal);
	const key = savedKey();
	await overFetch(wanted, events, signal);
	withoutSockets = key === savedKey(); // with the key that was just asked for there may be one
	return 'fetch';
}

/** Open the socket, if that can be done: some proxies let none through. */
export async function connected() {
	if (socket?.readyState === WebSocket.OPEN) return true;
	const one = openSocket('v1/audio/speech/stream');
	one.binaryType = 'arraybuffer';
	socket = one;
	return new Promise((resolve) => {
		one.onopen = () => resolve(true);
		one.onclose = () => resolve(false);
		setTimeout(() => one.readyState === WebSocket.CONNECTING && one.close(), OPENING_MILLISECONDS);
	});
}

function overSocket({ input, ...settings }, events, signal) {
	const one = socket;
	const send = (type, fields) => one.send(JSON.stringify({ type, ...fields }));
	return new Promise((resolve, reject) => {
		const leave = (end, value) => {
			one.onmessage = one.onclose = null;
			signal.removeEventListener('abort', stop);
			if (end === reject) one.close();
			end(value);
		};
		const stop = () => leave(reject, signal.reason);
		signal.addEventListener('abort', stop);
		if (signal.aborted) stop();
		one.onclose = ({ reason }) => leave(reject, new Problem(reason || 'broken'));
		one.onmessage = ({ data }) => {
			if (typeof data !== 'string') return events.onSamples(data);
			const message = JSON.parse(data);
			switch (message.type) {
				case 'session.configured':
					events.onIgnored(message.ignored ?? []);
					send('input.text', { text: input });
					send('input.done');
					break;
				case 'audio.start':
					events.onBegin(message.sample_rate);
					events.onSentence({ start: message.text_start, end: message.text_end, second: message.start_ms / 1000 });
					break;
				case 'audio.done':
					events.onBoundary();
					break;
				case 'error':
					leave(reject, new Problem(message.message));
					break;
				case 'session.done':
					leave(resolve, 'socket');
			}
		};
		send('session.config', { ...settings, stream_audio: true, response_format: 'pcm' });
	});
}

async function ask({ ref_audio: clip, ref_text: _, ...json }, events, signal) {
	if (clip) throw new Problem('no_sockets');
	const answer = await request('v1/audio/speech', { json: { ...json, response_format: 'pcm' }, signal });
	events.onIgnored((answer.headers.get('x-voxcli-ignored') ?? '').split(', ').filter(Boolean));
	events.onBegin(Number(answer.headers.get('x-sample-rate')));
	return answer;
}

async function overFetch(wanted, events, signal) {
	const reader = (await ask(wanted, events, signal)).body.getReader();
	let odd = [];
	for (;;) {
		const { done, value } = await reader.read().catch(broken('broken'));
		if (done) return;
		const bytes = new Uint8Array(odd.length + value.length);
		bytes.set(odd);
		bytes.set(value, odd.length);
		const even = bytes.length & ~1; // a sample may be cut in two
		odd = bytes.slice(even);
		events.onSamples(bytes.slice(0, even).buffer);
	}
}

/** The same as a client that does not stream: nothing is heard before everything is there. */
export async function speakWhole(wanted, events, signal) {
	events.onSamples(await (await ask(wanted, events, signal)).arrayBuffer());
}
