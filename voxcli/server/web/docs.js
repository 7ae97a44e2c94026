/** Forms of the API documentation: each sends one request and shows its answer. */

const key = document.getElementById('key');
key.value = sessionStorage.getItem('voxcli-key') ?? '';

for (const form of document.forms) {
	form.onsubmit = async (event) => {
		event.preventDefault();
		const out = form.querySelector('output');
		const headers = key.value ? { authorization: `Bearer ${key.value}` } : {};
		const options = { headers, method: form.dataset.method };
		if (form.elements.body) {
			options.body = form.elements.body.value;
			headers['content-type'] = 'application/json';
		} else if (options.method === 'POST') {
			options.body = new FormData(form);
		}
		out.textContent = '…';
		try {
			out.replaceChildren(await shown(await fetch(form.dataset.path, options)));
		} catch (error) {
			out.textContent = error.message;
		}
	};
}

/** @param {Response} answer */
async function shown(answer) {
	if (answer.ok && (answer.headers.get('content-type') ?? '').startsWith('audio/')) {
		const audio = new Audio(URL.createObjectURL(await answer.blob()));
		audio.controls = true;
		return audio;
	}
	const text = document.createElement('pre');
	text.textContent = `${answer.status} ${await answer.text()}`;
	return text;
}
