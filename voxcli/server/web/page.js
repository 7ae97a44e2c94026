/** What the parts of the page share: elements, what is known of the server, messages. */

import { load } from './api.js';
import { TEXTS, t } from './texts.js';

/** Elements by their id. */
export const ui = new Proxy({}, { get: (_, id) => document.getElementById(id) });

export const server = {
	state: 'loading', // or ready, unloaded, failed, unreachable
	model: '',
	version: '',
	engine: null, // what the model makes use of
	voices: [],
	kept: [],
	chats: false,
};

export function element(name, properties, ...children) {
	const one = Object.assign(document.createElement(name), properties);
	one.append(...children);
	return one;
}

/** Show a message, which may be a key of one, or an error. */
export function tell(place, said = '') {
	const text = said.message ?? said;
	place.textContent = text in TEXTS ? t(text) : text;
	place.classList.toggle('bad', said instanceof Error);
}

/** Show names, by their keys, with values. */
export const list = (place, rows) =>
	place.replaceChildren(
		...Object.entries(rows).map(([id, value]) =>
			element('div', {}, element('dt', {}, t(id)), element('dd', { id }, `${value}`)),
		),
	);

/** @param {number | null} milliseconds */
export const duration = (milliseconds) =>
	milliseconds === null
		? '–'
		: milliseconds < 1000
			? `${Math.round(milliseconds)} ms`
			: `${(milliseconds / 1000).toFixed(2)} s`;

/** Do something, and show its error if it fails. */
export const trying = (place, work) => work().catch((error) => tell(place, error));

export async function loadVoices() {
	server.voices = (await load('api/voices')).voices;
	server.kept = (await load('v1/voices/custom')).voices;
	changed();
}

export const changed = () => document.dispatchEvent(new Event('server'));
export const onChange = (call) => document.addEventListener('server', call);
