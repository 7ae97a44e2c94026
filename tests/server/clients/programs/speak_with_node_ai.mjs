// The AI SDK for Node with its provider for OpenAI. Arguments and answer as in say_and_report.py.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.cwd() + "/"));
const { experimental_generateSpeech } = await import(pathToFileURL(require.resolve("ai")));
const { createOpenAI } = await import(pathToFileURL(require.resolve("@ai-sdk/openai")));
const [url, voice, text, out] = process.argv.slice(2);
const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
const answer = { rate: 0 };
let sound = new Uint8Array();
try {
  const result = await experimental_generateSpeech({ model: provider.speech("tts-1"), voice, text });
  sound = result.audio.uint8Array;
} catch (error) {
  answer.error = `${error.constructor.name}: ${error.message}`;
}
writeFileSync(out, sound);
console.log(JSON.stringify(answer));
