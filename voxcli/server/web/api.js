/** Requests to the server behind this page, wherever it is offered, and the API key. */

const KEY = 'voxcli-key';
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/; // what a subprotocol may be

/** What went wrong: words for people, or a key of the page's texts. */
export class Problem extends Error {}

let asking = null;
let askKey = null;

/** @param {(wrong: boolean) => Promise<string | null>} ask asks a person for the key */
export const setAsker = (ask) => (askKey = ask);
export const savedKey = () => sessionStorage.getItem(KEY) ?? '';
export const address = (path) => new URL(path, document.baseURI);

/** Send a request, and return its answer, which is ok. Asks for the key if the server requires one. */
export async function request(path, { json, ...options } = {}) {
	if (json) Object.assign(options, { method: 'POST', body: JSON.stringify(json) });
	for (;;) {
		const key = savedKey();
		const headers = { accept: 'application/json, */*;q=0.5' };
		if (json) headers['content-type'] = 'application/json';
		if (key) headers.authorization = `Bearer ${key}`;
		const answer = await fetch(address(path), { ...options, headers }).catch(broken('unreachable'));
		if (answer.ok) return answer;
		if (answer.status !== 401 || !(await newKey(key))) throw new Problem(await words(answer));
	}
}

export const load = async (path, options) => (await request(path, options)).json();

/** What to throw for an error of the network; a stop stays one. */
export const broken = (message) => (error) => {
	throw error.name === 'AbortError' ? error : new Problem(message);
};

/** Ask for another key than the one that was refused, once for all requests. */
async function newKey(refused) {
	if (savedKey() !== refused) return true;
	asking ??= askKey(Boolean(refused)).finally(() => (asking = null));
	const key = await asking;
	if (key) sessionStorage.setItem(KEY, key);
	return key;
}

/** What an error answer says, in any dialect. */
async function words(answer) {
	const text = await answer.text();
	try {
		const { error, detail } = JSON.parse(text);
		return (error?.message ?? detail?.[0]?.msg ?? detail).toString();
	} catch {
		return `${answer.status} ${answer.statusText}`; // a proxy's own page
	}
}

/** Open a WebSocket. It has no headers: the key is a subprotocol, or in the address. */
export function openSocket(path) {
	const url = address(path);
	const key = savedKey();
	url.protocol = url.protocol.replace('http', 'ws');
	const fits = TOKEN.test(key);
	if (key && !fits) url.searchParams.set('api_key', key);
	return new WebSocket(url, fits ? ['voxcli', `openai-insecure-api-key.${key}`] : []);
}
