/** The part of the page that speaks: text, settings, figures, comparison, downloads, commands. */

import { request } from './api.js';
import { COMMANDS } from './commands.js';
import { duration, element, list, onChange, server, tell, trying, ui } from './page.js';
import { toWav } from './player.js';
import { connected, speakWhole } from './speech.js';
import { language, t } from './texts.js';
import { Utterance } from './utterance.js';
import { drawWave } from './wave.js';

const LANGUAGES = 'en zh yue ja ko de fr es it pt nl pl ru tr ar hi id vi th'.split(' ');
const FORMATS = ['wav', 'mp3', 'opus', 'aac', 'flac', 'pcm'];
const FIELDS = ['text', 'voice', 'spoken', 'speed', 'steps', 'style', 'seed'];
const SAVED = 'voxcli-settings';
const saved = JSON.parse(localStorage.getItem(SAVED) ?? '{}');

let shown = null;
let kind = 'curl';
let drawing = 0;

/** What is on the screen, as a request. */
export function wanted() {
	const { sampling, styles } = server.engine ?? {};
	const style = ui.style.value.trim();
	return {
		input: ui.text.value.trim(),
		...(ui.voice.value && { voice: ui.voice.value }),
		...(ui.spoken.value && { language: ui.spoken.value }),
		...(ui.speed.value !== '1' && { speed: Number(ui.speed.value) }),
		...(sampling && { steps: Number(ui.steps.value) }),
		...(sampling && ui.seed.value && ui.seed.checkValidity() && { seed: Number(ui.seed.value) }),
		...(styles && style && { instructions: style }),
	};
}

/** The same with a seed, so that it can be spoken once more. */
function seeded() {
	const settings = wanted();
	if (!settings.input) throw new Error('no_text');
	if (server.engine?.sampling) settings.seed ??= Math.floor(Math.random() * 1e9);
	return settings;
}

/** Speak, and show how it goes. */
async function speakShown(settings, source) {
	tell(ui.message, 'busy');
	shown = new Utterance(settings, show, source);
	const utterance = shown;
	await trying(ui.message, async () => {
		await utterance.run();
		if (utterance === shown) tell(ui.message, notes(utterance));
	});
	return utterance;
}

const notes = ({ how, wanted: { seed }, waited, ignored }) =>
	[
		how === 'fetch' && t('fetch'),
		seed !== undefined && t('seeded', seed),
		waited > 0.05 && t('waited', waited.toFixed(1)),
		ignored.length && t('ignored', ignored.join(', ')),
	]
		.filter(Boolean)
		.join(' ');

function show(utterance) {
	cancelAnimationFrame(drawing);
	if (utterance === shown) drawing = requestAnimationFrame(() => draw(utterance));
}

function draw(utterance) {
	const since = (time) => duration(time && time - utterance.asked);
	list(ui.figures, {
		first_byte: since(utterance.firstByte),
		first_sound: since(utterance.firstSound),
		factor: utterance.factor?.toFixed(2) ?? '–',
		chunks: utterance.chunks,
		underruns: utterance.underruns,
		length: `${utterance.seconds.toFixed(1)} s`,
	});
	ui.play.textContent = t(utterance.isPlaying ? 'stop' : 'speak');
	ui.play.classList.toggle('stops', utterance.isPlaying);
	drawWave(ui.wave, utterance);
	highlight(utterance);
}

/** Mark the sentence that sounds. */
function highlight({ wanted: { input }, sentence }) {
	const text = ui.text.value;
	const letters = [...text]; // the server counts characters, not the halves of pairs
	const skipped = letters.findIndex((letter) => letter.trim());
	const place = input === text.trim() ? sentence : undefined;
	const [start, end] = [place?.start + skipped, place?.end + skipped];
	const cut = (from, to) => letters.slice(from, to).join('');
	ui.backdrop.replaceChildren(
		...(end ? [cut(0, start), element('mark', {}, cut(start, end)), `${cut(end)}\n`] : []),
	);
	ui.backdrop.scrollTop = ui.text.scrollTop;
}

/** Speak twice, streamed and as a whole, and show the waits. */
async function compare() {
	const settings = seeded();
	const waits = [null, null];
	ui.bars.hidden = false;
	for (const [i, source] of [undefined, speakWhole].entries()) {
		const tick = () => {
			const { firstSound, asked } = shown;
			if (firstSound) waits[i] = firstSound - asked;
			showBars(waits, i, performance.now() - asked);
		};
		const run = speakShown(settings, source);
		const ticking = setInterval(tick, 50);
		const utterance = await run;
		clearInterval(ticking);
		if (utterance !== shown) return;
		tick();
		if (!utterance.received) return;
	}
}

function showBars(waits, running, now) {
	const shownWaits = waits.map((wait, i) => wait ?? (i === running ? now : 0));
	for (const [i, row] of [ui.streamed, ui.whole].entries()) {
		row.querySelector('.bar').style.inlineSize = `${(100 * shownWaits[i]) / Math.max(...shownWaits)}%`;
		row.querySelector('b').textContent = duration(shownWaits[i] || null);
	}
	const [streamed, whole] = waits;
	ui.sooner.textContent = streamed && whole ? t('sooner', (whole / streamed).toFixed(1)) : '';
}

/** Save as a file: what was heard, as far as that can be made once more. */
async function save(format, button) {
	const settings = seeded();
	const seedless = ({ seed: _, ...rest }) => JSON.stringify(rest);
	const same = shown?.received && seedless(shown.wanted) === seedless(settings);
	if (same) settings.seed = shown.wanted.seed;
	button.ariaBusy = true;
	try {
		const json = { ...settings, response_format: format };
		const { parts, rate } = shown ?? {};
		const blob = same && format === 'wav' ? toWav(parts, rate) : await (await request('v1/audio/speech', { json })).blob();
		element('a', { href: URL.createObjectURL(blob), download: `speech.${format}` }).click();
	} finally {
		button.ariaBusy = null;
	}
}

/** Write what follows from the settings, and keep them. */
function refresh() {
	ui.speedValue.textContent = `${Number(ui.speed.value)}×`;
	ui.stepsValue.textContent = ui.steps.value;
	ui.count.textContent = t('characters', [...ui.text.value].length);
	for (const name of FIELDS) saved[name] = ui[name].value || (name === 'voice' ? saved.voice : '');
	localStorage.setItem(SAVED, JSON.stringify(saved));
	ui.code.textContent = COMMANDS[kind]({ ...wanted(), input: ui.text.value.trim() || t('auditioning') });
	for (const button of ui.kinds.children) button.ariaPressed = button.textContent === kind;
}

/** Write what depends on the server or on the language of the page. */
function fill() {
	const names = new Intl.DisplayNames([language], { type: 'language', fallback: 'none' });
	const option = (value, textContent) => element('option', { value, textContent });
	const group = (name, options) => (options.length ? [element('optgroup', { label: t(name) }, ...options)] : []);
	const kept = new Set(server.kept.map(({ id }) => id));
	const own = server.voices.filter(({ id }) => !kept.has(id));
	ui.voice.replaceChildren(
		...group('kept', server.kept.map(({ id, name }) => option(id, name))),
		...group('voices_own', own.map((voice) => option(voice.id, label(voice, names)))),
	);
	const ids = [...ui.voice.options].map(({ value }) => value);
	ui.voice.value = [saved.voice, 'default', ids[0]].find((id) => ids.includes(id)) ?? '';
	ui.spoken.replaceChildren(option('', t('auto')), ...LANGUAGES.map((code) => option(code, names.of(code) ?? code)));
	ui.spoken.value = saved.spoken ?? '';
	for (const name of ['sampling', 'styles']) {
		for (const one of document.querySelectorAll(`.${name}`)) one.hidden = !server.engine?.[name];
	}
	draw(shown ?? new Utterance({}));
	refresh();
}

/** The name of a voice, with what it is: some are named after a language. */
function label({ id, description }, names) {
	try {
		description ||= names.of(id);
	} catch {
		// no language
	}
	return description ? `${id} – ${description}` : id;
}

async function audition() {
	const sample = { ...wanted(), input: t('auditioning'), language };
	// A voice of eSpeak NG has its own language.
	if (server.model === 'espeak' && sample.voice !== 'default') delete sample.language;
	await new Utterance(sample).run();
}

async function copy() {
	try {
		await navigator.clipboard.writeText(ui.code.textContent);
	} catch {
		getSelection().selectAllChildren(ui.code); // over plain http there is no clipboard
		document.execCommand('copy');
	}
	tell(ui.copy, 'copied');
	setTimeout(tell, 1500, ui.copy, 'copy');
}

export function startSpeaking() {
	for (const name of FIELDS) {
		if (saved[name]) ui[name].value = saved[name];
		ui[name].oninput = refresh;
	}
	const button = (textContent, onclick) => element('button', { type: 'button', textContent, onclick });
	ui.downloads.append(
		...FORMATS.map((one) => button(one.toUpperCase(), ({ target }) => trying(ui.message, () => save(one, target)))),
	);
	const choose = ({ target }) => {
		kind = target.textContent;
		refresh();
	};
	ui.kinds.append(...Object.keys(COMMANDS).map((one) => button(one, choose)));
	const shownAs = (work) => () => trying(ui.message, work);
	const speakNow = shownAs(async () => speakShown(seeded()));
	ui.play.onclick = () => (shown?.isPlaying ? shown.stop() : speakNow());
	ui.compare.onclick = shownAs(compare);
	ui.audition.onclick = shownAs(audition);
	ui.copy.onclick = copy;
	ui.settings.onsubmit = () => false;
	ui.text.onfocus = connected;
	ui.text.onscroll = () => (ui.backdrop.scrollTop = ui.text.scrollTop);
	ui.text.onkeydown = ({ key, ctrlKey, metaKey }) => {
		if (key === 'Enter' && (ctrlKey || metaKey)) speakNow();
	};
	addEventListener('resize', fill);
	onChange(fill);
}
