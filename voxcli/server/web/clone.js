/** The part of the page that clones: a recording, and the voice that is kept of it. */

import { load, request } from './api.js';
import { element, loadVoices, onChange, server, tell, trying, ui } from './page.js';
import { WORKLET, toPcm, toWav } from './player.js';
import { wanted } from './speak.js';
import { language, t } from './texts.js';
import { Utterance, stopAll } from './utterance.js';

const LONGEST_SECONDS = 30;

let clip = null;
let report = null;
let stopRecording = null;

async function record() {
	stopAll();
	tell(ui.cloned);
	const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
	let mediaStream;
	try {
		if (!navigator.mediaDevices) throw new Error(t('not_secure'));
		mediaStream = await navigator.mediaDevices.getUserMedia({ audio });
	} catch (error) {
		return tell(ui.cloned, new Error(t('microphone', error.message)));
	}
	const context = new AudioContext();
	await context.audioWorklet.addModule(WORKLET);
	const recorder = new AudioWorkletNode(context, 'vox-recorder', { numberOfOutputs: 0 });
	new MediaStreamAudioSourceNode(context, { mediaStream }).connect(recorder);
	const parts = [];
	let seconds = 0;
	stopRecording = () => {
		stopRecording = null;
		for (const track of mediaStream.getTracks()) track.stop();
		context.close();
		ui.level.value = 0;
		ui.transcript.value ||= t('read_aloud');
		take(new File([toWav(parts, context.sampleRate)], 'recording.wav'));
	};
	recorder.port.onmessage = ({ data }) => {
		if (!stopRecording) return;
		parts.push(toPcm(data));
		seconds += data.length / context.sampleRate;
		ui.level.value = Math.max(ui.level.value * 0.97, Math.sqrt(Math.max(...data.map(Math.abs))));
		ui.recorded.textContent = `${seconds.toFixed(1)} s`;
		if (seconds >= LONGEST_SECONDS) stopRecording();
	};
	return show();
}

/** Take a clip, and show what the server thinks of it. @param {File} file */
async function take(file) {
	clip = report = null;
	show();
	ui.clip.src = URL.createObjectURL(file);
	ui.clip.hidden = false;
	await trying(ui.cloned, async () => {
		report = await load('api/clips/check', { method: 'POST', body: form({ audio: file }) });
		clip = file;
		tell(ui.cloned);
	});
	show();
}

function form(fields) {
	const data = new FormData();
	for (const [name, value] of Object.entries(fields)) if (value) data.append(name, value);
	return data;
}

function keep() {
	const consent = `${t('consent')} (${location.host}, ${new Date().toISOString().slice(0, 10)})`;
	const name = ui.name.value.trim();
	const body = form({ name, audio_sample: clip, text: ui.transcript.value.trim(), consent });
	trying(ui.cloned, async () => {
		await request('v1/audio/voices', { method: 'POST', body });
		await loadVoices();
		tell(ui.cloned, t('kept_as', name));
		ui.consent.checked = false;
	});
	return false;
}

/** Speak the text of the page with the clip, which is not kept. */
async function attempt() {
	const { voice: _, ...settings } = wanted();
	const reader = new FileReader();
	reader.readAsDataURL(clip);
	await new Promise((resolve) => (reader.onload = resolve));
	const text = ui.transcript.value.trim();
	const input = settings.input || t('auditioning');
	tell(ui.cloned, 'busy');
	trying(ui.cloned, async () => {
		await new Utterance({ ...settings, input, ref_audio: reader.result, ...(text && { ref_text: text }) }).run();
		tell(ui.cloned);
	});
}

function show() {
	ui.record.textContent = t(stopRecording ? 'stop' : 'record');
	ui.keep.disabled = ui.try.disabled = !clip;
	ui.readAloud.textContent = t('read_aloud');
	const seconds = report?.speech_seconds.toFixed(1);
	const remarks = report?.remarks.map(({ kind, message }) => (language === 'zh' ? t(kind, seconds) : message));
	ui.verdict.className = remarks?.length ? '' : 'good';
	ui.verdict.replaceChildren(
		...(remarks?.length === 0 ? [t('clip_good', seconds)] : (remarks ?? [])).map((text) => element('li', {}, text)),
	);
	if (server.engine?.clips === false) tell(ui.cloned, 'cannot_clone');
}

export function startCloning() {
	ui.record.onclick = () => (stopRecording ? stopRecording() : record());
	ui.file.onchange = () => ui.file.files[0] && take(ui.file.files[0]);
	ui.cloneForm.onsubmit = keep;
	ui.try.onclick = attempt;
	onChange(show);
}
