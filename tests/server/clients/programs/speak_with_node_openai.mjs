// OpenAI's own package for Node, streaming. Arguments and answer as in say_and_report.py.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.cwd() + "/"));
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")));
const [url, voice, input, out, leave] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
const pieces = [];
const answer = { rate: 0 };
try {
  const speech = await client.audio.speech.create({ model: "gpt-4o-mini-tts", voice, input });
  for await (const piece of speech.body) {
    pieces.push(piece);
    if (leave) break;
  }
} catch (error) {
  answer.error = `${error.constructor.name}: ${error.message}`;
}
writeFileSync(out, Buffer.concat(pieces));
console.log(JSON.stringify(answer));
