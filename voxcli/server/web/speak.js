/** The part of the page that speaks: text, settings, figures, comparison, downloads, commands. */

import { request } from './api.js';
import { KINDS, command } from './commands.js';
import { $, download, duration, element, onChange, server, tell, tellError } from './page.js';
import { connected, speakWhole } from './speech.js';
import { language, t } from './texts.js';
import { Utterance, stopAll } from './utterance.js';
import { drawWave } from './wave.js';

const LANGUAGES = 'en zh yue ja ko de fr es it pt nl pl ru tr ar hi id vi th'.split(' ');
const FORMATS = ['wav', 'mp3', 'opus', 'aac', 'flac', 'pcm'];
const KEPT_FIELDS = ['text', 'voice', 'spoken', 'speed', 'steps', 'style', 'seed'];
const SETTINGS = 'voxcli-settings';
const MOST_CHARACTERS = 4096;

/** @type {Utterance | null} */
let shown = null;
let kind = KINDS[0];
let drawing = 0;

/** What is on the screen, as the server reads it. */
export function wanted() {
	const style = $('style').value.trim();
	const abilities = server.engine;
	return {
		input: $('text').value.trim(),
		...($('voice').value && { voice: $('voice').value }),
		...($('spoken').value && { language: $('spoken').value }),
		...($('speed').value !== '1' && { speed: Number($('speed').value) }),
		...(abilities?.sampling && { steps: Number($('steps').value) }),
		...(abilities?.sampling && /^\d+$/.test($('seed').value) && { seed: Number($('seed').value) }),
		...(abilities?.styles && style && { instructions: style }),
	};
}

/** The same with a seed, so that it can be spoken once more. */
function seeded() {
	const settings = wanted();
	if (server.engine?.sampling) settings.seed ??= Math.floor(Math.random() * 1e9);
	return settings;
}

/** Speak, and show how it goes. @param {object} settings @param {ConstructorParameters<typeof Utterance>[2]} [source] */
export async function speakShown(settings, source) {
	if (!settings.input) return tell('message', t('no_text'), true);
	tell('message', t('busy'));
	const utterance = new Utterance(settings, show, source);
	shown = utterance;
	try {
		await utterance.run();
		if (utterance === shown) tell('message', notes(utterance));
	} catch (error) {
		tellError('message', error);
		show(utterance);
	}
	return utterance;
}

function notes(utterance) {
	return [
		utterance.how === 'fetch' && utterance.source !== speakWhole && t('fetched'),
		utterance.wanted.seed !== undefined && t('seeded', utterance.wanted.seed),
		utterance.waited > 0.05 && t('between', utterance.waited.toFixed(1)),
		utterance.ignored.length > 0 && t('ignored', utterance.ignored.join(', ')),
	]
		.filter(Boolean)
		.join(' ');
}

function show(utterance) {
	if (utterance !== shown) return;
	const since = (time) => duration(time === null ? null : time - utterance.asked);
	$('first-byte').textContent = since(utterance.firstByte);
	$('first-sound').textContent = since(utterance.firstSound);
	$('factor').textContent = utterance.factor === null ? '–' : utterance.factor.toFixed(2);
	$('chunks').textContent = utterance.chunks;
	$('underruns').textContent = utterance.underruns;
	$('length').textContent = utterance.samples ? `${utterance.seconds.toFixed(1)} s` : '–';
	$('again').disabled = !utterance.samples;
	showButton();
	cancelAnimationFrame(drawing);
	drawing = requestAnimationFrame(() => {
		drawWave($('wave'), utterance);
		highlight(utterance);
	});
}

function showButton() {
	const busy = shown?.isPlaying;
	$('play').textContent = t(busy ? 'stop' : 'speak');
	$('play').classList.toggle('stops', Boolean(busy));
}

/** Mark the sentence that sounds, behind the text box. */
function highlight(utterance) {
	const text = $('text').value;
	const place = utterance.wanted.input === text.trim() ? utterance.sentence : undefined;
	if (place?.start === undefined) {
		$('backdrop').replaceChildren();
		return;
	}
	const letters = [...text]; // the server counts characters, not the halves of pairs
	const before = [...text.slice(0, text.indexOf(utterance.wanted.input))].length;
	const [start, end] = [place.start + before, place.end + before];
	const cut = (from, to) => letters.slice(from, to).join('');
	const mark = element('mark', { textContent: cut(start, end) });
	$('backdrop').replaceChildren(cut(0, start), mark, `${cut(end)}\n`);
	$('backdrop').scrollTop = $('text').scrollTop;
}

/** Speak twice, streamed and as a whole, and show the waits for the first sound. */
async function compare() {
	const settings = seeded();
	if (!settings.input) return tell('message', t('no_text'), true);
	const runs = [['streaming', undefined], ['whole', speakWhole]].map(([name, source]) => ({ name, source, milliseconds: null }));
	$('bars').hidden = false;
	for (const run of runs) {
		run.begun = performance.now();
		const ticking = setInterval(() => showBars(runs, run), 50);
		run.utterance = await speakShown(settings, run.source);
		clearInterval(ticking);
		showBars(runs, run);
		if (!run.milliseconds || run.utterance !== shown || !run.utterance.received) return undefined;
	}
	return undefined;
}

function showBars(runs, running) {
	const { firstSound = null, asked } = running.utterance ?? shown;
	running.milliseconds = firstSound === null ? null : firstSound - asked;
	const waits = runs.map((run) => run.milliseconds ?? (run === running ? performance.now() - run.begun : 0));
	const longest = Math.max(...waits, 1);
	const rows = runs.map((run, i) => {
		const bar = element('span', { className: 'bar' });
		bar.style.inlineSize = `${(waits[i] / longest) * 100}%`;
		const value = run.milliseconds === null && run !== running ? '–' : duration(waits[i]);
		return element('li', {}, element('span', {}, t(run.name)), element('span', { className: 'track' }, bar), element('b', {}, value));
	});
	const [streamed, whole] = runs.map((run) => run.milliseconds);
	const gain = streamed && whole ? ` · ${t('x_faster', (whole / streamed).toFixed(1))}` : '';
	$('bars').replaceChildren(element('h2', {}, t('x_bars') + gain), element('ul', {}, ...rows));
}

async function save(format, button) {
	const settings = seeded();
	if (!settings.input) return tell('message', t('no_text'), true);
	if ([...settings.input].length > MOST_CHARACTERS) return tell('message', t('too_long', MOST_CHARACTERS), true);
	const { seed, ...rest } = shown?.wanted ?? {};
	const { seed: _, ...now } = settings;
	const same = shown?.received && JSON.stringify(rest) === JSON.stringify(now);
	if (same) settings.seed = seed;
	button.setAttribute('aria-busy', 'true');
	try {
		let blob;
		if (same && format === 'wav') {
			blob = shown.toWav();
		} else {
			const answer = await request('v1/audio/speech', { json: { ...settings, response_format: format } });
			blob = await answer.blob();
		}
		download(blob, `speech.${format}`);
		if (settings.seed !== undefined) tell('message', t('seeded', settings.seed));
	} catch (error) {
		tellError('message', error);
	}
	button.removeAttribute('aria-busy');
	return undefined;
}

/** Write the settings and the commands as they are now. */
function refresh() {
	$('speed-value').textContent = `${Number($('speed').value)}×`;
	$('steps-value').textContent = $('steps').value;
	$('count').textContent = t('characters', [...$('text').value].length);
	const saved = Object.fromEntries(KEPT_FIELDS.map((name) => [name, $(name).value]));
	localStorage.setItem(SETTINGS, JSON.stringify(saved));
	$('code').textContent = command(kind, { ...wanted(), input: $('text').value.trim() || t('auditioning') });
	for (const button of $('kinds').children) button.setAttribute('aria-pressed', button.textContent === kind);
}

/** Write everything that depends on the server or on the language of the page. */
export function fillSettings() {
	const chosen = $('voice').value || saved().voice;
	const kept = new Set(server.kept.map((voice) => voice.id));
	const own = server.voices.filter((voice) => !kept.has(voice.id));
	const names = new Intl.DisplayNames([language], { type: 'language', fallback: 'none' });
	const groups = [
		['kept', server.kept.map((voice) => element('option', { value: voice.id, textContent: voice.name }))],
		['voices_own', own.map((voice) => element('option', { value: voice.id, textContent: label(voice, names) }))],
	];
	$('voice').replaceChildren(
		...groups.filter(([, options]) => options.length).map(([name, options]) => element('optgroup', { label: t(name) }, ...options)),
	);
	const known = [...$('voice').options].map((option) => option.value);
	if (known.length) $('voice').value = known.includes(chosen) ? chosen : known.includes('default') ? 'default' : known[0];
	const spoken = $('spoken').value || saved().spoken || '';
	$('spoken').replaceChildren(
		element('option', { value: '', textContent: t('auto') }),
		...LANGUAGES.map((code) => element('option', { value: code, textContent: names.of(code) ?? code })),
	);
	$('spoken').value = spoken;
	for (const one of document.querySelectorAll('.only-model')) one.hidden = server.engine?.sampling === false;
	for (const one of document.querySelectorAll('.only-styles')) one.hidden = server.engine?.styles === false;
	showButton();
	refresh();
}

function label({ id, description }, names) {
	let more = description;
	if (server.model === 'espeak' && id !== 'default') {
		try {
			more = names.of(id);
		} catch {
			more = '';
		}
	}
	return more && more !== id ? `${id} – ${more}` : id;
}

function saved() {
	try {
		return JSON.parse(localStorage.getItem(SETTINGS)) ?? {};
	} catch {
		return {};
	}
}

async function audition() {
	const spoken = $('spoken').value;
	const sample = { ...seeded(), input: t('auditioning') };
	if (spoken && spoken !== language) sample.input = $('text').value.trim().slice(0, 200) || sample.input;
	else sample.language = language;
	if (server.model === 'espeak' && sample.voice !== 'default') delete sample.language;
	try {
		await new Utterance(sample, () => {}).run();
	} catch (error) {
		tellError('message', error);
	}
}

export function startSpeaking() {
	for (const [name, value] of Object.entries(saved())) if ($(name)?.localName !== 'select') $(name).value = value;
	for (const format of FORMATS) {
		const button = element('button', { type: 'button', textContent: format.toUpperCase() });
		button.onclick = () => save(format, button);
		$('downloads').append(button);
	}
	for (const one of KINDS) {
		const button = element('button', { type: 'button', textContent: one });
		button.onclick = () => {
			kind = one;
			refresh();
		};
		$('kinds').append(button);
	}
	$('play').onclick = () => (shown?.isPlaying ? shown.stop() : speakShown(seeded()));
	$('again').onclick = () => shown.again();
	$('compare').onclick = compare;
	$('audition').onclick = audition;
	$('copy').onclick = copy;
	$('settings').onsubmit = (event) => event.preventDefault();
	$('text').onfocus = () => connected();
	$('text').onscroll = () => ($('backdrop').scrollTop = $('text').scrollTop);
	$('text').onkeydown = (event) => {
		if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) speakShown(seeded());
	};
	document.addEventListener('keydown', (event) => event.key === 'Escape' && stopAll());
	for (const name of KEPT_FIELDS) $(name).addEventListener('input', refresh);
	new ResizeObserver(() => drawWave($('wave'), shown)).observe($('wave'));
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawWave($('wave'), shown));
	onChange(fillSettings);
}

async function copy() {
	const text = $('code').textContent;
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		getSelection().selectAllChildren($('code')); // without a secure context there is no clipboard
		document.execCommand('copy');
	}
	$('copy').textContent = t('copied');
	setTimeout(() => ($('copy').textContent = t('copy')), 1500);
}
