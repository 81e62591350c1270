import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

const data = new URL('../../../shared/data/financebench/', import.meta.url);
const filing = { name: 'PEPSICO_2023_8K_dated-2023-05-30', pages: 172 };

// Annual reports are too large for this repository. A fresh clone has none and leaves these tests out; CI must have them,
// or a lost folder would look like a pass.
const without = !existsSync(data) && !process.env['CI'];

interface Question {
  doc_name: string;
  question: string;
  /** Pages are counted from 0 there, from 1 here. */
  evidence: { page: number }[];
}

interface Place {
  page: number;
  start: number;
  end: number;
}

describe.skipIf(without)('a filing of 172 pages', () => {
  let service: Service;
  let library: Library;
  let id: string;
  let content: { text: string; pages: Place[] };
  let questions: Question[];

  beforeAll(async () => {
    service = await joinService();
    library = await openLibrary(service);
    const lines = (await readFile(new URL('questions.jsonl', data), 'utf8')).trim().split('\n');
    questions = lines.map((line) => JSON.parse(line) as Question).filter(({ doc_name: name }) => name === filing.name);
    const bytes = await readFile(new URL(`pdfs/${filing.name}.pdf`, data));
    const sent = await library.uploadFile({
      bytes,
      name: `${filing.name}.pdf`,
      type: 'application/pdf',
      fields: { externalId: filing.name },
    });
    if (sent.status !== 202) throw new Error(`the filing was not accepted: ${sent.text}`);
    ({ id } = sent.body);
    await service.settle();
    content = (await library.call('GET', `/documents/${id}/content`)).body;
  });
  afterAll(() => service?.stop());

  /** What is quoted stands at its offsets, and those lie on the page that is named. */
  function expectOnItsPage({ page, start, end }: Place, quote: string): void {
    expect(content.text.slice(start, end)).toBe(quote);
    const span = content.pages.find((candidate) => candidate.page === page);
    expect(span).toBeDefined();
    expect(start).toBeGreaterThanOrEqual(span?.start ?? Infinity);
    expect(end).toBeLessThanOrEqual(span?.end ?? -Infinity);
  }

  it('goes in through REST and is ready, with every page and a receipt', async () => {
    const document = await library.get(id);
    expect(document).toMatchObject({
      status: 'ready',
      error: null,
      contentType: 'application/pdf',
      progress: { stage: 'ready' },
    });
    expect(document.progress.done).toBe(document.progress.total);
    expect(document.receipt.chunks.total).toBeGreaterThan(filing.pages);
    expect(content.pages).toHaveLength(filing.pages);
  });

  it('answers each of its questions with passages that stand at their offsets on their page', async () => {
    expect(questions.length).toBeGreaterThan(0);
    for (const { question, evidence } of questions) {
      const { results } = await library.search(question, { topK: 20 });
      expect(results).toHaveLength(20);
      for (const result of results) expectOnItsPage(result, result.text);
      const pages = results.slice(0, 8).map((result: Place) => result.page);
      expect(pages, question).toContain((evidence[0]?.page ?? NaN) + 1);
    }
  });

  it('answers a question with citations whose quotes stand at their offsets on the cited page', async () => {
    for (const { question } of questions) {
      const { body } = await service.call('POST', '/v1/chat', {
        body: { knowledgeBases: [library.base], message: question },
      });
      expect(body).toMatchObject({ mode: 'extractive', version: expect.anything() });
      expect(body.outcome).not.toBe('not_found');
      expect(body.citations.length).toBeGreaterThan(0);
      for (const citation of body.citations) {
        expect(citation).toMatchObject({ documentId: id, page: expect.any(Number) });
        expectOnItsPage(citation, citation.quote);
        expect(body.answer).toContain(`[${String(citation.marker).replace(/^\[|\]$/g, '')}]`);
      }
    }
  });
});
