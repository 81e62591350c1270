// An embedding model behind the OpenAI protocol that knows nothing and takes exactly as long as it is told to, in a thread
// of its own: what is measured is who waits for it, and how.
import { createServer } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const dimensions = 384;
const textsPerBatch = 64;

/** @param {number} msPerBatch what each 64 texts of a call take, whoever else is calling */
export async function startEmbedder(msPerBatch) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { msPerBatch } });
  const port = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return { url: `http://127.0.0.1:${port}/v1`, stop: () => worker.terminate() };
}

if (!isMainThread) serve(workerData.msPerBatch);

/** @param {number} msPerBatch */
function serve(msPerBatch) {
  // Written out once: making and printing numbers would take longer than the wait it is to measure.
  const vectors = Array.from({ length: 512 }, (_, at) =>
    Float32Array.from({ length: dimensions }, (_n, place) => Math.sin(at * 7919 + place)),
  );
  const written = {
    float: vectors.map((vector) => `[${[...vector].map((value) => value.toFixed(6)).join(',')}]`),
    base64: vectors.map((vector) => `"${Buffer.from(vector.buffer).toString('base64')}"`),
  };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      const { input, model, encoding_format: format } = JSON.parse(body);
      const texts = [input].flat();
      const own = format === 'base64' ? written.base64 : written.float;
      const data = texts.map(
        (text, index) => `{"object":"embedding","index":${index},"embedding":${own[placeOf(text)]}}`,
      );
      const usage = '{"prompt_tokens":1,"total_tokens":1}';
      const answer = `{"object":"list","model":${JSON.stringify(model)},"data":[${data.join(',')}],"usage":${usage}}`;
      const send = () => response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
      const wait = msPerBatch * Math.ceil(texts.length / textsPerBatch);
      if (wait === 0) send();
      else setTimeout(send, wait);
    });
  });
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage(server.address().port));
}

/** @param {string} text */
const placeOf = (text) => (text.length * 31 + text.charCodeAt(text.length >> 1)) % 512;
