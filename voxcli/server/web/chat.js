/** The part of the page that chats: what a language model writes, spoken while it writes. */

import { Problem, broken, request } from './api.js';
import { element, onChange, server, tell, trying, ui } from './page.js';
import { wanted } from './speak.js';
import { t } from './texts.js';
import { Utterance } from './utterance.js';

const HEADER_BYTES = 44;

let history = [];
let answering = null;

async function send() {
	if (answering?.isPlaying) return answering.stop();
	const message = ui.question.value.trim();
	ui.question.value = '';
	tell(ui.chatted);
	write('user', message);
	const place = write('assistant', '…');
	let text = '';
	const onText = (piece) => {
		text += piece;
		place.textContent = text;
		ui.talk.scrollTop = ui.talk.scrollHeight;
	};
	const { voice = 'default', language = 'auto', speed = 1 } = wanted();
	const asked = { message, history, config: { ref_audio_path: voice, text_lang: language, speed_factor: speed } };
	answering = new Utterance(asked, showSend, (...given) => chat(...given, onText));
	await trying(ui.chatted, () => answering.run());
	if (text) history = [...history, { role: 'user', content: message }, { role: 'assistant', content: text }];
	else place.remove();
}

/** Ask, and pass on the text and the speech of the answer. */
async function chat(json, events, signal, onText) {
	const answer = await request('api/chat', { json, signal });
	const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
	let waiting = '';
	let complete = false;
	for (;;) {
		const { done, value } = await reader.read().catch(broken('broken'));
		if (done) break;
		const lines = (waiting + value).split('\n');
		waiting = lines.pop();
		for (const line of lines) {
			const { type, ...event } = JSON.parse(line.startsWith('data: ') ? line.slice(6) : '{}');
			complete ||= type === 'complete';
			if (type === 'text') onText(event.content);
			if (type === 'error') throw new Problem(event.error);
			if (type === 'audio_start' && event.sample_rate) events.onBegin(event.sample_rate);
			if (type === 'audio_chunk' && event.size !== HEADER_BYTES) {
				events.onSamples(Uint8Array.from(atob(event.data), (letter) => letter.charCodeAt(0)).buffer);
			}
		}
	}
	if (!complete) throw new Problem('broken');
}

function write(className, text) {
	const place = element('p', { className }, text);
	ui.talk.append(place);
	return place;
}

function showSend() {
	const busy = Boolean(answering?.isPlaying);
	ui.send.textContent = t(busy ? 'stop' : 'send');
	ui.question.required = !busy;
}

export function startChatting() {
	ui.chatForm.onsubmit = () => {
		send();
		return false;
	};
	onChange(() => {
		ui.tabChat.hidden = !server.chats;
		showSend();
	});
}
