import { getEncoding } from 'js-tiktoken';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pdf } from '../contract/tides.js';
import { byMeaning, startEmbeddingServer } from './embedding-server.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

interface Chunk {
  id: string;
  section: string[];
  lead: string | null;
  text: string;
}

let model: Awaited<ReturnType<typeof startEmbeddingServer>>;
let service: Service;
let library: Library;
let encoding: ReturnType<typeof getEncoding>;

beforeAll(async () => {
  // Loaded before the service is there: it refuses what it is asked while its process computes for a second.
  encoding = getEncoding('cl100k_base');
  model = await startEmbeddingServer();
  // A model whose own way to count tokens is known.
  service = await startService({ env: { ...model.env, EMBEDDING_MODEL: 'text-embedding-3-small' } });
});
afterAll(async () => {
  await service.stop();
  model.stop();
});
beforeEach(async () => {
  model.answer = byMeaning;
  library = await openLibrary(service);
});

// Some 3,000 characters are a page.
const pages = 200;
const places = ['quay', 'mole', 'pier', 'lock', 'dock', 'berth', 'slip', 'basin', 'jetty', 'buoy'];

const paragraph = (page: number, number: number): string =>
  Array.from({ length: 3 }, (_, line) => {
    const place = `${places[(page * 7 + number * 3 + line) % 10]} ${page}-${number}-${line}`;
    return `Whoever moors at ${place} asks the harbour master before noon, and pays the dues of ${line + 3} days at the office by the gate.`;
  }).join(' ');

type Page = { chapter: string; title: string; paragraphs: string[] };

const handbook = (paragraphs = 8): Page[] =>
  Array.from({ length: pages }, (_, page) => ({
    chapter: `Chapter ${Math.floor(page / 20) + 1}`,
    title: `Section ${page + 1}`,
    paragraphs: Array.from({ length: paragraphs }, (_unused, number) => paragraph(page, number)),
  }));

/** Ten chapters of twenty sections each, with headings or without any. */
function markdown(book: Page[], { headings = true } = {}): string {
  const parts = book.flatMap(({ chapter, title, paragraphs }, at) => {
    const opening = chapter === book[at - 1]?.chapter ? [] : [`# ${chapter}`];
    return headings ? [...opening, `## ${title}`, ...paragraphs] : paragraphs;
  });
  return parts.join('\n\n');
}

const plain = (book: Page[]) => ({ content: markdown(book, { headings: false }), contentType: 'text/plain' });

const printed = (book: Page[]): Promise<Buffer> =>
  pdf(
    (doc) => {
      for (const { chapter, title, paragraphs } of book) {
        doc.addPage().fontSize(16).text(`${chapter}, ${title}`).moveDown();
        for (const text of paragraphs.slice(0, 6)) doc.fontSize(10).text(text).moveDown();
      }
    },
    { autoFirstPage: false },
  );

const edited = (book: Page[], page: number, text: string): Page[] =>
  book.with(page, { ...book[page]!, paragraphs: book[page]!.paragraphs.with(3, text) });

const longer = `${paragraph(900, 1)} ${paragraph(900, 2)} This was never said before.`;

async function chunksOf(id: string): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for (let cursor = ''; ;) {
    const { data, nextCursor } = (await library.call('GET', `/documents/${id}/chunks?limit=100${cursor}`)).body;
    chunks.push(...data);
    if (nextCursor === null) return chunks;
    cursor = `&cursor=${nextCursor}`;
  }
}

/** What a model is asked of a chunk. */
const asked = ({ section, lead, text }: Chunk): string =>
  [...section, ...(lead === null ? [] : [lead]), text].join('\n');

/** What the model was asked since it was last looked at, but for the probe of its dimensions. */
const takeAsked = (): string[] =>
  model.asked
    .splice(0)
    .flat()
    .filter((text) => text !== 'dimensions');

/** The handbook as it becomes now: what was embedded for it, as the model, the chunks and the receipts say. */
async function become(then: Record<string, unknown>) {
  const before = await chunksOf((await library.list()).data[0].id);
  takeAsked();
  return { before, ...(await whatBecame(await library.publish({ externalId: 'handbook', ...then }), before)) };
}

async function whatBecame(document: { id: string; status: string; receipt: object }, before: Chunk[]) {
  expect(document).toMatchObject({ status: 'ready', error: null });
  const after = await chunksOf(document.id);
  const known = new Set(before.map(asked));
  const kept = new Set(after.map(asked));
  const texts = takeAsked();
  const fresh = after.filter((chunk) => !known.has(asked(chunk)));
  const gone = before.filter((chunk) => !kept.has(asked(chunk)));
  expect(texts.toSorted()).toEqual(fresh.map(asked).toSorted());
  const said = {
    chunks: {
      total: after.length,
      reused: after.length - fresh.length,
      embedded: fresh.length,
      removed: gone.length,
    },
    tokensEmbedded: texts.reduce((sum, text) => sum + encoding.encode(text).length, 0),
    tokenCount: 'exact',
    ms: { parsing: expect.any(Number), chunking: expect.any(Number), embedding: expect.any(Number) },
  };
  expect(document.receipt).toEqual(said);
  expect(await receipt(await library.activeVersion())).toEqual(said);
  return { after, embedded: fresh.length };
}

describe('an edit of one paragraph in a document of 200 pages', () => {
  it('embeds two of a hundred chunks at most, and says so: at its beginning, in its middle and at its end', async () => {
    let book = handbook();
    await library.publish({ externalId: 'handbook', content: markdown(book) });
    for (const page of [0, 101, 199]) {
      book = edited(book, page, `${longer} Not even on page ${page}.`);
      const { after, embedded } = await become({ content: markdown(book) });
      expect(after.length).toBeGreaterThan(400);
      expect(embedded).toBeGreaterThan(0);
      expect(embedded).toBeLessThanOrEqual(0.02 * after.length);
    }
  });

  it('does so too in half as many where no heading stands, and a paragraph is taken away', async () => {
    const book = handbook().slice(0, pages / 2);
    const shorter = book.with(1, { ...book[1]!, paragraphs: book[1]!.paragraphs.slice(1) });
    await library.publish({ externalId: 'handbook', ...plain(book) });
    const { after, embedded } = await become(plain(shorter));
    expect(after.length).toBeGreaterThan(200);
    expect(embedded).toBeLessThanOrEqual(0.02 * after.length);
  });

  it('does so too in a PDF of half as many', async () => {
    const book = handbook().slice(0, pages / 2);
    const send = async (bytes: Buffer) => {
      const file = { bytes: new Uint8Array(bytes), name: 'handbook.pdf', type: 'application/pdf' };
      const { body } = await library.uploadFile({ ...file, fields: { externalId: 'handbook' } });
      await service.settle();
      return library.get(body.id);
    };
    const { id } = await send(await printed(book));
    const before = await chunksOf(id);
    expect((await library.call('GET', `/documents/${id}/content`)).body.pages).toHaveLength(book.length);
    takeAsked();
    const { after, embedded } = await whatBecame(await send(await printed(edited(book, 17, longer))), before);
    expect(after.length).toBeGreaterThan(200);
    expect(embedded).toBeGreaterThan(0);
    expect(embedded).toBeLessThanOrEqual(0.02 * after.length);
  });
});

describe('a section that moves', () => {
  it('within its chapter is embedded again only where it stood beside a heading, to another one itself too', async () => {
    const book = handbook(4).slice(0, 80);
    await library.publish({ externalId: 'handbook', content: markdown(book) });
    const moved = book.toSpliced(5, 1).toSpliced(12, 0, book[5]!);
    expect((await become({ content: markdown(moved) })).embedded).toBe(0);
    // The first section of a chapter stands in one chunk with the chapter's heading.
    const first = book.toSpliced(20, 1).toSpliced(30, 0, book[20]!);
    expect((await become({ content: markdown(first) })).embedded).toBeLessThanOrEqual(4);
    // Its headings are part of what is embedded, and nothing else of another chapter is.
    const section = { ...book[5]!, chapter: 'Chapter 4' };
    const elsewhere = first.toSpliced(5, 1).toSpliced(70, 0, section);
    const { before, after, embedded } = await become({ content: markdown(elsewhere) });
    const its = after.filter((chunk) => chunk.section.includes(section.title)).length;
    expect([embedded, after.length]).toEqual([its, before.length]);
    expect(its).toBeGreaterThan(1);
  });
});

describe('what embeds nothing', () => {
  it('is a change of metadata, title, source or access: there is no new revision and no new version', async () => {
    const document = await library.publish({ externalId: 'handbook', content: markdown(handbook().slice(0, 5)) });
    const before = [await chunksOf(document.id), await library.activeVersion()];
    takeAsked();
    const changes = [
      { metadata: { product: 'harbour' } },
      { title: 'Another title' },
      { sourceUrl: 'https://cms.example/handbook' },
      { access: { visibility: 'restricted', allow: ['group:hr'] } },
    ];
    for (const body of changes)
      expect((await library.call('PATCH', `/documents/${document.id}`, { body })).status).toBe(200);
    const content = markdown(handbook().slice(0, 5));
    const upload = await library.upload({ externalId: 'handbook', content, metadata: { product: 'quay' } });
    expect(upload.status).toBe(200);
    await service.settle();
    expect(await library.get(document.id)).toMatchObject({
      ...document,
      title: 'Another title',
      metadata: { product: 'quay' },
      sourceUrl: 'https://cms.example/handbook',
      access: { visibility: 'restricted', allow: ['group:hr'] },
    });
    expect([await chunksOf(document.id), await library.activeVersion()]).toEqual(before);
    expect(takeAsked()).toEqual([]);
  });

  it('is what the same document says twice: it is bought once', async () => {
    const refrain = '# Refrain\n\nThe harbour master is asked.\n\n';
    const document = await library.publish({ content: refrain.repeat(300) });
    expect(document.receipt).toMatchObject({ chunks: { total: 300, reused: 299, embedded: 1, removed: 0 } });
    expect(takeAsked()).toEqual(['Refrain\nRefrain\n\nThe harbour master is asked.']);
  });
});

const receipt = async (number: number) => (await library.call('GET', `/versions/${number}`)).body.receipt;

describe('the receipt of a version', () => {
  it('says what left with an unpublished document, and does not count again what comes back', async () => {
    const { id } = await library.publish({ externalId: 'one', content: markdown(handbook().slice(0, 3)) });
    const count = (await chunksOf(id)).length;
    expect(count).toBeGreaterThan(3);
    await library.call('POST', `/documents/${id}/unpublish`);
    await service.settle();
    expect(await receipt(2)).toMatchObject({
      chunks: { total: 0, reused: 0, embedded: 0, removed: count },
      tokensEmbedded: 0,
    });
    await library.publish({ externalId: 'one', content: markdown(handbook().slice(0, 3)) });
    expect(await receipt(3)).toMatchObject({
      chunks: { total: count, reused: count, embedded: 0, removed: 0 },
      tokensEmbedded: 0,
    });
  });

  it('says what a document cost that the gate had kept back, when it is published after all', async () => {
    await library.publish({ externalId: 'leave', content: 'Every employee has 27 days of annual leave.' });
    const question = { query: 'annual leave', expected: [{ passage: '27 days' }] };
    await library.call('POST', '/golden-questions', { body: question });
    await library.publish({ externalId: 'leave', content: 'A salary is paid in May.' });
    expect((await library.call('GET', '/versions/2')).body).toMatchObject({
      status: 'blocked',
      receipt: { chunks: { total: 1, embedded: 1 } },
    });
    await library.publish({ externalId: 'trains', content: 'A railway ticket is booked by the office.' });
    await library.call('POST', '/versions/2/activate', { body: { force: true } });
    expect((await library.call('GET', `/versions/${await library.activeVersion()}`)).body).toMatchObject({
      parent: 3,
      receipt: { chunks: { total: 1, embedded: 1, reused: 0, removed: 1 } },
    });
  });

  it('says what is removed of what its parent shows, though another version was active when it was staged', async () => {
    await library.publish({ externalId: 'one', content: 'First text.' });
    await library.publish({ externalId: 'one', content: 'Second text.' });
    const { body: sync } = await library.call('POST', '/syncs');
    await library.upload({ externalId: 'one', content: 'First text.\n\n# More\n\nThird text.', syncId: sync.id });
    await service.settle();
    await library.activate(1);
    await library.call('POST', `/syncs/${sync.id}/commit`, { body: {} });
    await service.settle();
    expect(await receipt(3)).toMatchObject({ chunks: { total: 2, reused: 1, embedded: 1, removed: 0 } });
  });
});

it('publishing, going back and forward writes no vector of what stays', async () => {
  const unchanged = async () => {
    const [index] = await service
      .database()
      .asOwner((tx) =>
        tx.rows<{ id: number }>('select id from knowledge_index where knowledge_base_id = $1', [
          library.base.slice('kb_'.length),
        ]),
      );
    return service.database().asOwner((tx) =>
      tx.rows<object>(
        `select v.chunk_id, v.ctid::text, v.xmin::text, v.xmax::text from chunk_vector_${index?.id} v
         join chunk c on c.index_id = v.index_id and c.id = v.chunk_id where c.text like '%stays%' order by 1`,
      ),
    );
  };
  for (let n = 0; n < 3; n++) await library.upload({ externalId: `stays ${n}`, content: `What stays: ${n}.` });
  await library.publish({ externalId: 'edited', content: 'First text.' });
  const before = await unchanged();
  expect(before).toHaveLength(3);
  const first = await library.activeVersion();
  await library.publish({ externalId: 'edited', content: 'Second text.' });
  const second = await library.activeVersion();
  await library.activate(first);
  await library.activate(second);
  await library.activate(first);
  await library.publish({ externalId: 'edited', content: 'Third text.' });
  expect(await library.activeVersion()).toBeGreaterThan(second);
  expect(await unchanged()).toEqual(before);
});

it('a receipt calls its tokens an estimate where nobody knows how the model counts', async () => {
  const other = await startService();
  try {
    const builtIn = await openLibrary(other);
    const content = 'Every employee has 27 days of annual leave.';
    const document = await builtIn.publish({ content });
    expect(document.receipt).toMatchObject({ tokensEmbedded: Math.ceil(content.length / 4), tokenCount: 'estimate' });
    expect((await builtIn.call('GET', '/versions/1')).body.receipt).toEqual(document.receipt);
  } finally {
    await other.stop();
  }
});
