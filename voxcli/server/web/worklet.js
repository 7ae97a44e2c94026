/** Audio worklets, on the thread of the sound card: a player, and a recorder of the microphone. */

import { PlayQueue } from './queue.js';

registerProcessor(
	'vox-player',
	class extends AudioWorkletProcessor {
		constructor() {
			super();
			const queue = new PlayQueue(sampleRate, (report) => this.port.postMessage(report));
			this.port.onmessage = ({ data }) => queue.take(data);
			this.process = (_inputs, [[out]]) => {
				queue.fill(out, currentTime);
				return true;
			};
		}
	},
);

registerProcessor(
	'vox-recorder',
	class extends AudioWorkletProcessor {
		process([[input]]) {
			if (input) this.port.postMessage(input.slice());
			return true;
		}
	},
);
