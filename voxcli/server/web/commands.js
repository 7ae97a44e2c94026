/** Commands that make the same speech elsewhere. */

import { address, savedKey } from './api.js';

const OPTIONS = { language: 'language', speed: 'speed', steps: 'steps', seed: 'seed', instructions: 'instruct', voice: 'voice' };
const KEY = 'OPENAI_API_KEY';

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
const plain = (text) => (/^[\w.-]+$/.test(text) ? text : quoted(text));
const base = () => address('').href.slice(0, -1);

/** What makes a command, by its kind. */
export const COMMANDS = {
	curl: (wanted) =>
		[
			`curl ${base()}/v1/audio/speech -o speech.mp3`,
			savedKey() && `-H "authorization: Bearer $${KEY}"`,
			`-H 'content-type: application/json'`,
			`-d ${quoted(JSON.stringify(wanted))}`,
		]
			.filter(Boolean)
			.join(' \\\n  '),

	Python: ({ input, voice = 'default', speed, instructions, ...extra }) => {
		const given = { model: 'tts-1', input, voice, speed, instructions, extra_body: extra };
		const lines = Object.entries(given)
			.filter(([, value]) => value !== undefined && JSON.stringify(value) !== '{}')
			.map(([name, value]) => `	${name}=${JSON.stringify(value)},\n`);
		const key = savedKey() ? `  # with the key in ${KEY}` : '';
		return (
			'from openai import OpenAI\n\n' +
			`client = OpenAI(base_url="${base()}/v1"${key ? '' : ', api_key="any"'})${key}\n` +
			`with client.audio.speech.with_streaming_response.create(\n${lines.join('')}) as answer:\n` +
			'	answer.stream_to_file("speech.mp3")'
		);
	},

	voxcli: ({ input, ...given }) => {
		const options = Object.entries(given).map(([name, value]) => ` --${OPTIONS[name]} ${plain(value)}`);
		const key = savedKey() ? `voxcli keys set ${base()}\n` : '';
		return `${key}voxcli say --remote ${base()}${options.join('')} \\\n  -- ${quoted(input)}`;
	},
};
