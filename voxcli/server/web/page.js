/** What the parts of the page share: elements, the state of the server, messages. */

import { request } from './api.js';
import { TEXTS, t } from './texts.js';

export const $ = (id) => document.getElementById(id);

/** What is known of the server. */
export const server = {
	/** @type {'ready' | 'loading' | 'unloaded' | 'failed' | 'unreachable'} */
	state: 'loading',
	model: '',
	version: '',
	/** @type {{sampling: boolean, styles: boolean, clips: boolean, bare_clips: boolean} | null} */
	engine: null,
	/** @type {{id: string, description: string}[]} */
	voices: [],
	/** @type {{id: string, name: string}[]} */
	kept: [],
	chats: false,
};

/** @param {string} name @param {object} [properties] @param {...(Node | string)} children */
export function element(name, properties = {}, ...children) {
	const one = Object.assign(document.createElement(name), properties);
	one.append(...children);
	return one;
}

/** Show a message, or none. @param {string} id @param {string} [text] */
export function tell(id, text = '', bad = false) {
	const place = $(id);
	if (place.textContent !== text) place.textContent = text;
	place.classList.toggle('bad', bad);
}

/** Show what went wrong. @param {string} id @param {Error} error */
export const tellError = (id, error) => tell(id, error.message in TEXTS.en ? t(error.message) : error.message, true);

/** @param {number | null} milliseconds */
export function duration(milliseconds) {
	if (milliseconds === null) return '–';
	return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

/** Ask for the voices again, and tell all parts of the page. */
export async function loadVoices() {
	const [own, kept] = await Promise.all(
		['api/voices', 'v1/voices/custom'].map((path) => request(path).then((answer) => answer.json())),
	);
	server.voices = own.voices;
	server.kept = kept.voices;
	changed();
}

export const changed = () => document.dispatchEvent(new Event('server'));
export const onChange = (call) => document.addEventListener('server', call);

/** Save data as a file. @param {Blob} blob */
export function download(blob, name) {
	const url = URL.createObjectURL(blob);
	element('a', { href: url, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(url), 60000);
}
