/** The same speech from elsewhere: commands for curl, Python and voxcli. */

import { address, savedKey } from './api.js';

const FILE = 'speech.mp3';
const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
const python = (value) => (typeof value === 'string' ? JSON.stringify(value) : String(value));

export const KINDS = ['curl', 'Python', 'voxcli'];

/** @param {string} kind one of KINDS @param {object} wanted as the server reads it */
export function command(kind, wanted) {
	const base = address('').href.replace(/\/$/, '');
	return { curl, Python: withPython, voxcli }[kind](base, wanted, Boolean(savedKey()));
}

function curl(base, wanted, withKey) {
	const key = withKey ? '  -H "authorization: Bearer $VOXCLI_API_KEY" \\\n' : '';
	return (
		`curl ${base}/v1/audio/speech -o ${FILE} \\\n${key}  -H 'content-type: application/json' \\\n` +
		`  -d ${quoted(JSON.stringify(wanted))}`
	);
}

function withPython(base, wanted, withKey) {
	const { input, voice = 'default', speed, instructions, ...extra } = wanted;
	const given = Object.entries({ model: 'tts-1', input, voice, speed, instructions }).filter(([, value]) => value !== undefined);
	const more = Object.entries(extra).map(([name, value]) => `"${name}": ${python(value)}`);
	const lines = given.map(([name, value]) => `    ${name}=${python(value)},\n`).join('');
	return (
		`${withKey ? 'import os\n' : ''}from openai import OpenAI\n\n` +
		`client = OpenAI(base_url="${base}/v1", api_key=${withKey ? 'os.environ["VOXCLI_API_KEY"]' : '"any"'})\n` +
		`with client.audio.speech.with_streaming_response.create(\n${lines}` +
		`${more.length ? `    extra_body={${more.join(', ')}},\n` : ''}) as answer:\n    answer.stream_to_file("${FILE}")`
	);
}

function voxcli(base, wanted, withKey) {
	const options = { voice: '--voice', language: '--language', speed: '--speed', steps: '--steps', seed: '--seed' };
	const given = Object.entries({ ...options, instructions: '--instruct' })
		.filter(([name]) => wanted[name] !== undefined)
		.map(([name, option]) => ` ${option} ${/^[\w.-]+$/.test(wanted[name]) ? wanted[name] : quoted(wanted[name])}`);
	const save = withKey ? `voxcli keys set ${base}\n` : '';
	return `${save}voxcli say --remote ${base}${given.join('')} -o ${FILE} --play \\\n  -- ${quoted(wanted.input)}`;
}
