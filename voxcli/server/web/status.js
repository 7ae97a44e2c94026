/** The part of the page about the server: its model, its memory, and what it is doing. */

import { load, request } from './api.js';
import { duration, list, onChange, server, tell, trying, ui } from './page.js';
import { t } from './texts.js';

const MILLISECONDS = 2000;

const refresh = () =>
	trying(ui.served, async () => {
		if (ui.server.hidden || document.hidden) return;
		show(await load('api/gpu/status'), read(await (await request('metrics')).text()));
		if (ui.served.classList.contains('bad')) tell(ui.served);
	});

/** Read Prometheus's text format: values by name and label, and sums by name. */
function read(text) {
	const values = {};
	for (const [, name, label, value] of text.matchAll(/^(?:voxcli_)?(\w+)(?:\{(?!le)\w+="(\w+)".*\})? (\S+)$/gm)) {
		for (const key of new Set([name, `${name} ${label ?? ''}`.trim()])) values[key] = (values[key] ?? 0) + Number(value);
	}
	return values;
}

function show(gpu, metrics) {
	const ended = (kind) => metrics[`requests_total ${kind}`] ?? 0;
	const gibibytes = (bytes) => (bytes ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : '–');
	list(ui.metrics, {
		m_state: t(server.state),
		m_streams: `${metrics.slots_used} / ${metrics.slots}`,
		m_queue: `${metrics.queue_depth} / ${metrics.queue_limit}`,
		m_gpu: gpu.error ? t('no_gpu') : `${gpu.memory_allocated_gb} / ${gpu.memory_reserved_gb} GiB, ${gpu.device_name}`,
		m_memory: gibibytes(metrics.process_resident_memory_bytes),
		m_answered: ended('done'),
		m_failed: ended('failed'),
		m_speech: duration(1000 * metrics.audio_seconds_total),
		m_first_byte: duration((1000 * metrics.first_byte_seconds_sum) / metrics.first_byte_seconds_count || null),
		m_version: server.version,
	});
	ui.servedModel.textContent = server.model;
	ui.load.disabled = server.state === 'ready';
	ui.unload.disabled = server.state !== 'ready';
}

/** @param {() => Promise<void>} look asks for the state of the server */
export function startStatus(look) {
	const change = async (action) => {
		tell(ui.served);
		ui.load.disabled = ui.unload.disabled = true;
		await trying(ui.served, async () => {
			const { model_loaded: loaded } = await load(`api/gpu/${action}`, { method: 'POST' });
			if (action === 'offload' && loaded) tell(ui.served, 'unloading');
		});
		await look();
		await refresh();
	};
	ui.load.onclick = () => change('load');
	ui.unload.onclick = () => change('offload');
	setInterval(refresh, MILLISECONDS);
	onChange(refresh);
}
