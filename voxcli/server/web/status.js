/** The part of the page about the server: its model, its memory, and what it is doing. */

import { request } from './api.js';
import { $, duration, element, server, tell, tellError } from './page.js';
import { t } from './texts.js';

const REFRESH_MILLISECONDS = 2000;

async function refresh() {
	if ($('server').hidden || document.hidden) return;
	try {
		const [gpu, metrics] = await Promise.all([
			request('api/gpu/status').then((answer) => answer.json()),
			request('metrics').then((answer) => answer.text()),
		]);
		show(gpu, read(metrics));
	} catch (error) {
		tellError('server-message', error);
	}
}

/** Read Prometheus's text format: sums by name, and by name and label. @param {string} text */
export function read(text) {
	const values = {};
	for (const line of text.split('\n')) {
		const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
		if (!name || labels.includes('le=')) continue;
		for (const key of new Set([name, name + labels])) values[key] = (values[key] ?? 0) + Number(value);
	}
	return values;
}

function show(gpu, metrics) {
	const ended = (...kinds) =>
		kinds.reduce((sum, kind) => sum + (metrics[`voxcli_requests_total ending="${kind}"`.replace(' ', '')] ?? 0), 0);
	const rows = [
		['m_state', t(server.state)],
		['m_streams', `${metrics.voxcli_slots_used} / ${metrics.voxcli_slots}`],
		['m_queue', `${metrics.voxcli_queue_depth} / ${metrics.voxcli_queue_limit}`],
		['m_gpu', gpu.error ? t('no_gpu') : `${gpu.memory_allocated_gb} / ${gpu.memory_reserved_gb} GiB, ${gpu.device_name}`],
		['m_memory', metrics.process_resident_memory_bytes ? `${(metrics.process_resident_memory_bytes / 2 ** 30).toFixed(2)} GiB` : '–'],
		['m_sockets', metrics.voxcli_sockets_open ?? 0],
		['m_answered', ended('done')],
		['m_refused', ended('refused')],
		['m_failed', ended('failed', 'stalled')],
		['m_speech', duration((metrics.voxcli_audio_seconds_total ?? 0) * 1000)],
		['first_byte', mean(metrics, 'voxcli_first_byte_seconds')],
		['m_version', server.version],
	];
	$('server-model').textContent = server.model;
	$('metrics').replaceChildren(
		...rows.map(([name, value]) => element('div', {}, element('dt', {}, t(name)), element('dd', {}, String(value)))),
	);
	$('load').disabled = server.state === 'ready';
	$('unload').disabled = server.state !== 'ready';
}

const mean = (metrics, name) =>
	metrics[`${name}_count`] ? duration((metrics[`${name}_sum`] / metrics[`${name}_count`]) * 1000) : '–';

async function change(action, look) {
	tell('server-message');
	$('load').disabled = $('unload').disabled = true;
	try {
		const answer = await (await request(`api/gpu/${action}`, { method: 'POST' })).json();
		if (action === 'offload' && answer.model_loaded) tell('server-message', t('unloading'));
	} catch (error) {
		tellError('server-message', error);
	}
	await look();
	await refresh();
}

/** @param {() => Promise<void>} look asks for the state of the server */
export function startStatus(look) {
	$('load').onclick = () => change('load', look);
	$('unload').onclick = () => change('offload', look);
	setInterval(refresh, REFRESH_MILLISECONDS);
	document.addEventListener('shown', refresh);
}
