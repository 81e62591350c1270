// Twenty bombs at once, on the embedded engine: how long a one-page PDF takes that comes after them, and what searching
// costs meanwhile, against the same searches before. Use: npm run bench:bombs. Figures are of this machine, now.
import { deflateSync } from 'node:zlib';
import { Client } from '../samples/demo/client.mjs';
import { startService } from '../samples/demo/service.mjs';

/** @type {() => Promise<void>} */
let stop = async () => undefined;

/** @param {Buffer} content @param {string} mark */
function pdf(content, mark) {
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>',
  ];
  const head = objects.map((body, index) => `${index + 1} 0 obj\n${body}\nendobj\n`).join('');
  return Buffer.concat([
    Buffer.from(`%PDF-1.4\n${head}4 0 obj\n<</Length ${content.length}/Filter/FlateDecode>>\nstream\n`),
    content,
    Buffer.from(`\nendstream\nendobj\ntrailer\n<</Root 1 0 R>>\n%${mark}\n%%EOF\n`),
  ]);
}

/** @param {number[]} times @param {number} share */
const at = (times, share) => times.toSorted((a, b) => a - b)[Math.floor(share * (times.length - 1))] ?? 0;

try {
  const { url, key } = await startService((undo) => (stop = undo));
  const client = new Client(url, key);
  const base = (await client.post('/v1/knowledge-bases', { name: 'bombs' })).id;
  const documents = `/v1/knowledge-bases/${base}/documents`;

  /** @param {string} name @param {Buffer} bytes @returns {Promise<string>} */
  const upload = async (name, bytes) => {
    const form = new FormData();
    form.append('file', new Blob([bytes], { type: 'application/pdf' }), name);
    const answer = await fetch(new URL(documents, url), {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: form,
    });
    return (await answer.json()).id;
  };
  /** @param {string} id */
  const ready = async (id) => {
    while ((await client.get(`${documents}/${id}`)).status !== 'ready')
      await new Promise((done) => setTimeout(done, 250)); // not so often that asking is a load itself
  };
  /** @param {number} ms */
  const searches = async (ms) => {
    const times = [];
    for (const end = performance.now() + ms; performance.now() < end;) {
      const started = performance.now();
      await client.post(`/v1/knowledge-bases/${base}/search`, { query: 'where do visitors park' });
      times.push(performance.now() - started);
      await new Promise((done) => setTimeout(done, 20));
    }
    return times;
  };

  const paragraph = 'Visitors park in the north yard and sign in at the front desk before they enter the building. ';
  for (let number = 0; number < 20; number++) {
    const { id } = await client.post(documents, {
      title: `Article ${number}`,
      content: paragraph.repeat(20) + number,
      contentType: 'text/markdown',
    });
    await ready(id);
  }
  await searches(2_000);
  const idle = await searches(10_000);
  const packed = deflateSync(Buffer.from('BT /F1 9 Tf (tide) Tj ET\n'.repeat(4_000_000)));
  await Promise.all(
    Array.from({ length: 20 }, (_, number) => upload(`bomb ${number}.pdf`, pdf(packed, `bomb ${number}`))),
  );
  const started = performance.now();
  const page = await upload(
    'page.pdf',
    pdf(deflateSync(Buffer.from('BT /F1 12 Tf 50 700 Td (The tide is high at noon.) Tj ET')), 'page'),
  );
  const arrived = ready(page).then(() => performance.now() - started);
  const busy = await searches(20_000);
  console.log(`a one-page PDF after twenty bombs: ready in ${((await arrived) / 1000).toFixed(1)} s`);
  for (const share of [0.5, 0.95]) {
    const [before, meanwhile] = [at(idle, share), at(busy, share)];
    console.log(
      `search p${share * 100}: ${before.toFixed(0)} ms idle, ${meanwhile.toFixed(0)} ms meanwhile, ${(meanwhile / before).toFixed(2)} times`,
    );
  }
} finally {
  await stop();
}
