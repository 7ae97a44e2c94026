/** Requests to the server behind this page, wherever it is offered, and the API key. */

const KEY = 'voxcli-key';
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** What went wrong, in words for people. */
export class Problem extends Error {
	/** @param {string} message @param {number} [status] */
	constructor(message, status = 0) {
		super(message);
		this.status = status;
	}
}

/** Asks a person for the key; the page sets it. @type {(wrong: boolean) => Promise<string | null>} */
let askKey = async () => null;
let asking = null;

export const setAsker = (ask) => (askKey = ask);
export const savedKey = () => sessionStorage.getItem(KEY) ?? '';
export const address = (path) => new URL(path, document.baseURI);

/**
 * Send a request. Asks for the key if the server requires one.
 * @param {string} path relative to the page
 * @param {RequestInit & {json?: object}} [options]
 * @returns {Promise<Response>} which is ok
 */
export async function request(path, options = {}) {
	const { json, ...rest } = options;
	for (;;) {
		const key = savedKey();
		const headers = { accept: 'application/json, */*;q=0.5', ...(key && { authorization: `Bearer ${key}` }) };
		if (json) Object.assign(rest, { method: 'POST', body: JSON.stringify(json) });
		if (json) headers['content-type'] = 'application/json';
		let answer;
		try {
			answer = await fetch(address(path), { ...rest, headers });
		} catch (error) {
			throw error.name === 'AbortError' ? error : new Problem('unreachable');
		}
		if (answer.ok) return answer;
		if (answer.status !== 401 || !(await newKey(key))) throw new Problem(await words(answer), answer.status);
	}
}

/** Ask for another key than the one that was refused, once for all requests. */
async function newKey(refused) {
	if (savedKey() !== refused) return true;
	asking ??= askKey(Boolean(refused)).finally(() => (asking = null));
	const key = await asking;
	if (key) sessionStorage.setItem(KEY, key);
	return Boolean(key);
}

/** What an error answer says, in any of the server's dialects. @param {Response} answer */
async function words(answer) {
	const text = await answer.text();
	try {
		const { error, detail, message } = JSON.parse(text);
		const said = error?.message ?? error ?? detail?.[0]?.msg ?? detail ?? message;
		if (typeof said === 'string') return said;
	} catch {
		// a proxy's own page
	}
	return `${answer.status} ${answer.statusText}`;
}

/** Open a WebSocket. A browser can send no headers with it: the key goes as a subprotocol, or in the address. */
export function openSocket(path) {
	const url = address(path);
	const key = savedKey();
	url.protocol = url.protocol.replace('http', 'ws');
	const fits = TOKEN.test(key);
	if (key && !fits) url.searchParams.set('api_key', key);
	const socket = new WebSocket(url, fits ? ['voxcli', `openai-insecure-api-key.${key}`] : []);
	socket.binaryType = 'arraybuffer';
	return socket;
}
