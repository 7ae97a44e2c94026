/** The part of the page that clones: a recording, how good it is, and the voice that is kept of it. */

import { Problem, request } from './api.js';
import { $, element, loadVoices, onChange, server, tell, tellError } from './page.js';
import { toPcm, toWav } from './player.js';
import { READ_ALOUD, REMARKS_ZH, fill, language, t } from './texts.js';
import { Utterance, stopAll } from './utterance.js';
import { wanted } from './speak.js';

const LONGEST_SECONDS = 30;

/** @type {Blob | null} */
let clip = null;
/** @type {(() => void) | null} */
let stopRecording = null;
let report = null;

async function record() {
	stopAll();
	tell('clone-message');
	let stream;
	try {
		if (!navigator.mediaDevices) throw new Error(t('not_secure'));
		const exact = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
		stream = await navigator.mediaDevices.getUserMedia({ audio: exact });
	} catch (error) {
		tell('clone-message', t('microphone', error.message), true);
		return;
	}
	const context = new AudioContext();
	await context.audioWorklet.addModule(new URL('worklet.js', import.meta.url));
	const recorder = new AudioWorkletNode(context, 'vox-recorder', { numberOfOutputs: 0 });
	new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(recorder);
	const parts = [];
	let seconds = 0;
	stopRecording = () => {
		stopRecording = null;
		for (const track of stream.getTracks()) track.stop();
		const rate = context.sampleRate;
		context.close();
		$('level').value = 0;
		if (!$('transcript').value) $('transcript').value = READ_ALOUD[language];
		take(toWav(parts, rate), 'recording.wav');
	};
	recorder.port.onmessage = ({ data }) => {
		if (!stopRecording) return;
		parts.push(toPcm(data));
		seconds += data.length / context.sampleRate;
		$('level').value = Math.sqrt(data.reduce((peak, one) => Math.max(peak, Math.abs(one)), 0));
		$('recorded').textContent = `${seconds.toFixed(1)} s`;
		if (seconds >= LONGEST_SECONDS) stopRecording();
	};
	showRecord();
}

const showRecord = () => ($('record').textContent = t(stopRecording ? 'stop' : 'record'));

/** Take a clip, and show what the server thinks of it. @param {Blob} blob */
async function take(blob, name) {
	showRecord();
	clip = null;
	report = null;
	showVerdict();
	URL.revokeObjectURL($('clip').src);
	$('clip').src = URL.createObjectURL(blob);
	$('clip').hidden = false;
	const form = new FormData();
	form.append('audio', blob, name);
	try {
		const answer = await request('api/clips/check', { method: 'POST', body: form });
		report = await answer.json();
		clip = new File([blob], name, { type: blob.type });
		tell('clone-message');
	} catch (error) {
		tellError('clone-message', error);
	}
	showVerdict();
}

function showVerdict() {
	const seconds = report?.speech_seconds.toFixed(1);
	const remarks = report?.remarks.map(({ kind, message }) =>
		language === 'zh' && REMARKS_ZH[kind] ? fill(REMARKS_ZH[kind], [seconds]) : message,
	);
	const lines = remarks?.length
		? remarks.map((text) => element('li', { className: 'warning' }, text))
		: report
			? [element('li', { className: 'good' }, t('clip_good', seconds))]
			: [];
	$('verdict').replaceChildren(...lines);
	$('keep').disabled = $('try').disabled = !clip;
}

async function keep(event) {
	event.preventDefault();
	if (!clip) return tell('clone-message', t('bad_clip'), true);
	const name = $('name').value.trim();
	const form = new FormData();
	form.append('name', name);
	form.append('audio_sample', clip);
	form.append('consent', `${$('consent-line').textContent} (${location.host}, ${new Date().toISOString().slice(0, 10)})`);
	if ($('transcript').value.trim()) form.append('text', $('transcript').value.trim());
	try {
		await request('v1/audio/voices', { method: 'POST', body: form });
		await loadVoices();
		tell('clone-message', t('kept_as', name));
		$('consent').checked = false;
	} catch (error) {
		tellError('clone-message', error);
	}
	return undefined;
}

/** Speak the text of the page with the clip, which is not kept. */
async function attempt() {
	const { voice: _, ...settings } = wanted();
	settings.input ||= t('auditioning');
	settings.ref_audio = await asDataUrl(clip);
	if ($('transcript').value.trim()) settings.ref_text = $('transcript').value.trim();
	tell('clone-message', t('busy'));
	try {
		await new Utterance(settings, () => {}).run();
		tell('clone-message');
	} catch (error) {
		tellError('clone-message', error);
	}
}

function asDataUrl(blob) {
	return new Promise((resolve, reject) => {
		const reader = new FileReader();
		reader.onload = () => resolve(reader.result);
		reader.onerror = () => reject(new Problem(String(reader.error)));
		reader.readAsDataURL(blob);
	});
}

async function remove({ id, name }) {
	if (!confirm(t('remove_sure', name))) return;
	try {
		await request(`v1/audio/voices/${encodeURIComponent(id)}`, { method: 'DELETE' });
		await loadVoices();
	} catch (error) {
		tellError('clone-message', error);
	}
}

/** Write everything that depends on the server or on the language of the page. */
export function fillClones() {
	showRecord();
	showVerdict();
	$('read-aloud').textContent = READ_ALOUD[language];
	const rows = server.kept.map((voice) => {
		const button = element('button', { type: 'button', className: 'quiet', textContent: t('remove') });
		button.setAttribute('aria-label', `${t('remove')}: ${voice.name}`);
		button.onclick = () => remove(voice);
		return element('li', {}, element('span', {}, voice.name), button);
	});
	$('kept').replaceChildren(...(rows.length ? rows : [element('li', { className: 'hint' }, t('none_kept'))]));
	if (server.engine?.clips === false) tell('clone-message', t('cannot_clone'));
}

export function startCloning() {
	$('record').onclick = () => (stopRecording ? stopRecording() : record());
	$('file').onchange = () => {
		const [file] = $('file').files;
		if (file) take(file, file.name);
		$('file').value = '';
	};
	$('clone-form').onsubmit = keep;
	$('try').onclick = attempt;
	onChange(fillClones);
}
