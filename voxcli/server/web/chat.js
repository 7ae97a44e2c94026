/** The part of the page that chats: what a language model writes, spoken while it writes. */

import { Problem, request } from './api.js';
import { $, element, onChange, server, tell, tellError } from './page.js';
import { t } from './texts.js';
import { wanted } from './speak.js';
import { Utterance } from './utterance.js';

const HEADER_BYTES = 44;

/** @type {{role: 'user' | 'assistant', content: string}[]} */
let history = [];
/** @type {Utterance | null} */
let answering = null;

async function send(event) {
	event.preventDefault();
	if (answering?.isPlaying) {
		answering.stop();
		return;
	}
	const message = $('question').value.trim();
	if (!message) return;
	$('question').value = '';
	tell('chat-message');
	write('user', message);
	const place = write('assistant', '…');
	let text = '';
	const onText = (piece) => {
		text += piece;
		place.textContent = text;
		place.scrollIntoView({ block: 'nearest' });
	};
	const { voice = 'default', language = 'auto', speed } = wanted();
	const config = { ref_audio_path: voice, text_lang: language, ...(speed && { speed_factor: speed }) };
	const source = (asked, events, signal) => chat(asked, events, signal, onText);
	const utterance = new Utterance({ message, history, config }, showSend, source);
	answering = utterance;
	try {
		await utterance.run();
	} catch (error) {
		tellError('chat-message', error);
	}
	if (text) history = [...history, { role: 'user', content: message }, { role: 'assistant', content: text }];
	else place.remove();
	showSend();
}

/** Ask, and pass on the text and the speech of the answer. */
async function chat(asked, events, signal, onText) {
	const answer = await request('api/chat', { json: asked, signal });
	const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
	let waiting = '';
	let ended = false;
	for (;;) {
		const { done, value } = await reader.read().catch((error) => {
			throw error.name === 'AbortError' ? error : new Problem('broken');
		});
		if (done) break;
		const lines = (waiting + value).split('\n');
		waiting = lines.pop();
		for (const line of lines) if (line.startsWith('data: ')) take(JSON.parse(line.slice(6)));
	}
	if (!ended) throw new Problem('broken');

	function take(event) {
		if (event.type === 'text') onText(event.content);
		if (event.type === 'error') throw new Problem(event.error);
		if (event.type === 'audio_start' && event.sample_rate) events.onBegin(event.sample_rate);
		if (event.type === 'audio_chunk' && event.size !== HEADER_BYTES) events.onSamples(decoded(event.data));
		if (event.type === 'audio_complete' || event.type === 'complete') ended = true;
	}
}

function decoded(base64) {
	const letters = atob(base64);
	const bytes = new Uint8Array(letters.length);
	for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
	return bytes.buffer;
}

function write(role, text) {
	const place = element('p', { className: role, textContent: text });
	$('talk').append(place);
	place.scrollIntoView({ block: 'nearest' });
	return place;
}

function showSend() {
	const busy = Boolean(answering?.isPlaying);
	$('send').textContent = t(busy ? 'stop' : 'send');
	$('question').required = !busy;
}

export function startChatting() {
	$('chat-form').onsubmit = send;
	$('forget').onclick = () => {
		answering?.stop();
		history = [];
		$('talk').replaceChildren();
		tell('chat-message');
	};
	onChange(() => {
		$('tab-chat').hidden = !server.chats;
		showSend();
	});
}
