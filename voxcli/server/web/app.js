/** Start of the page: its parts, the state of the server, the key, language and colours. */

import { request, savedKey, setAsker } from './api.js';
import { startChatting } from './chat.js';
import { startCloning } from './clone.js';
import { $, changed, loadVoices, server } from './page.js';
import { startSpeaking } from './speak.js';
import { startStatus } from './status.js';
import { language, setLanguage, t, translate } from './texts.js';
import { player, preparePlayer } from './utterance.js';

const LOOK_MILLISECONDS = 10000;
const LOOK_AGAIN_MILLISECONDS = 1500;
const TABS = [...document.querySelectorAll('[role=tab]')];
const THEMES = ['', 'dark', 'light'];

let timer = 0;

/** Ask how the server is, now and again later. */
async function look() {
	clearTimeout(timer);
	const before = server.state;
	try {
		const health = await (await request('health')).json();
		Object.assign(server, { model: health.model, version: health.version, engine: health.engine ?? server.engine });
		server.state =
			health.status === 'loading' ? 'loading' : health.status === 'unhealthy' ? 'failed' : health.model_loaded ? 'ready' : 'unloaded';
	} catch {
		server.state = 'unreachable';
	}
	showState();
	if (!player.context) preparePlayer(server.engine?.sample_rate);
	const well = ['ready', 'unloaded'].includes(server.state);
	timer = setTimeout(look, well ? LOOK_MILLISECONDS : LOOK_AGAIN_MILLISECONDS);
	if (server.state !== before || !server.voices.length) {
		changed();
		if (well) await loadMore();
	}
}

async function loadMore() {
	try {
		const overview = await (await request('')).json();
		server.chats = '/api/chat' in overview.routes;
		await loadVoices();
	} catch {
		// the next look tries again
	}
}

function showState() {
	$('state').className = server.state;
	$('model').textContent = [server.model, t(server.state)].filter(Boolean).join(' · ');
}

function showTab(tab) {
	for (const one of TABS) {
		const chosen = one === tab;
		one.setAttribute('aria-selected', chosen);
		one.tabIndex = chosen ? 0 : -1;
		$(one.getAttribute('aria-controls')).hidden = !chosen;
	}
	document.dispatchEvent(new Event('shown'));
}

function moveTab(event) {
	const shown = TABS.filter((tab) => !tab.hidden);
	const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
	if (!step) return;
	const next = shown[(shown.indexOf(event.target) + step + shown.length) % shown.length];
	showTab(next);
	next.focus();
}

function askKey(wrong) {
	const dialog = $('key-dialog');
	$('key-wrong').hidden = !wrong;
	$('key').value = savedKey();
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.onclose = () => resolve(dialog.returnValue ? $('key').value.trim() : null);
	});
}

function start() {
	translate();
	setAsker(askKey);
	for (const tab of TABS) {
		tab.onclick = () => showTab(tab);
		tab.onkeydown = moveTab;
	}
	$('language-toggle').onclick = () => {
		setLanguage(language === 'zh' ? 'en' : 'zh');
		$('language-toggle').lang = language === 'zh' ? 'en' : 'zh';
		showState();
		changed();
	};
	$('theme-toggle').onclick = () => {
		const { dataset } = document.documentElement;
		dataset.theme = THEMES[(THEMES.indexOf(dataset.theme) + 1) % THEMES.length];
		localStorage.setItem('voxcli-theme', dataset.theme);
		changed();
	};
	startSpeaking();
	startCloning();
	startChatting();
	startStatus(look);
	showTab(TABS[0]);
	changed();
	for (const type of ['pointerdown', 'keydown']) document.addEventListener(type, () => player.resume());
	document.addEventListener('visibilitychange', () => document.hidden || look());
	look();
}

start();
