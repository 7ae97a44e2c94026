/** Start of the page: its parts, the state of the server, the key, the language. */

import { load, savedKey, setAsker } from './api.js';
import { startChatting } from './chat.js';
import { startCloning } from './clone.js';
import { changed, loadVoices, onChange, server, ui } from './page.js';
import { startSpeaking } from './speak.js';
import { startStatus } from './status.js';
import { language, t, translate } from './texts.js';
import { player, stopAll } from './utterance.js';

const LOOK_MILLISECONDS = 10000;
const LOOK_AGAIN_MILLISECONDS = 1500;
const TABS = [...document.querySelectorAll('[role=tab]')];

const panel = (tab) => ui[tab.getAttribute('aria-controls')];

let timer = 0;

/** Ask how the server is, now and again later. */
async function look() {
	clearTimeout(timer);
	const before = server.state;
	try {
		const { status, model_loaded: loaded, ...health } = await load('health', { signal: AbortSignal.timeout(5000) });
		Object.assign(server, health, { engine: health.engine ?? server.engine });
		server.state = { loading: 'loading', unhealthy: 'failed' }[status] ?? (loaded ? 'ready' : 'unloaded');
		if (!player.context) player.prepare(server.engine?.sample_rate ?? 44100);
	} catch {
		server.state = 'unreachable';
	}
	const well = ['ready', 'unloaded'].includes(server.state);
	timer = setTimeout(look, well ? LOOK_MILLISECONDS : LOOK_AGAIN_MILLISECONDS);
	if (server.state === before) return;
	changed();
	if (well) await loadMore();
}

async function loadMore() {
	try {
		server.chats = '/api/chat' in (await load('')).routes;
		await loadVoices();
	} catch {
		// without the key
	}
}

function showTab(tab) {
	for (const one of TABS) {
		one.ariaSelected = one === tab;
		one.tabIndex = one === tab ? 0 : -1;
		panel(one).hidden = one !== tab;
	}
	changed();
}

function moveTab({ key, target }) {
	const tabs = TABS.filter((tab) => !tab.hidden);
	const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
	if (!step) return;
	const next = tabs.at((tabs.indexOf(target) + step) % tabs.length);
	next.click();
	next.focus();
}

function askKey(wrong) {
	ui.keyWrong.hidden = !wrong;
	ui.keyDialog.showModal();
	return new Promise((resolve) => {
		ui.keyDialog.onclose = () => {
			resolve(ui.keyDialog.returnValue && ui.key.value.trim());
			setTimeout(() => savedKey() && loadMore());
		};
	});
}

translate();
setAsker(askKey);
for (const tab of TABS) {
	Object.assign(tab, { onclick: () => showTab(tab), onkeydown: moveTab });
	Object.assign(panel(tab), { role: 'tabpanel', ariaLabelledByElements: [tab] });
}
ui.languageToggle.onclick = () => {
	translate(language === 'zh' ? 'en' : 'zh');
	changed();
};
onChange(() => {
	ui.state.className = server.state;
	ui.model.textContent = [server.model, t(server.state)].filter(Boolean).join(' · ');
	ui.languageToggle.lang = language === 'zh' ? 'en' : 'zh';
});
startSpeaking();
startCloning();
startChatting();
startStatus(look);
showTab(TABS[0]);
matchMedia('(prefers-color-scheme: dark)').onchange = changed;
for (const type of ['pointerdown', 'keydown']) document.addEventListener(type, () => player.resume());
document.addEventListener('keydown', ({ key }) => key === 'Escape' && stopAll());
document.addEventListener('visibilitychange', () => document.hidden || look());
look();
