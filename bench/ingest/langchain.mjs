import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { OpenAIEmbeddings } from '@langchain/openai';
import { RecursiveCharacterTextSplitter } from '@langchain/textsplitters';
import { PDFParse } from 'pdf-parse';
import { Pool } from 'pg';
import { EmbeddedPool } from '../../dist/platform/embedded/pool.js';
import { scratchEngine } from '../load.mjs';

// PGVectorStore's default.
const rowsPerStatement = 500;

/**
 * The usual pipeline without Lectern: a document a page, chunks of 1,000 characters that share 200, vectors, rows. Loader
 * and store are played here, as `PDFLoader` and `PGVectorStore` do it: the packages that hold them are not installed.
 *
 * @param {string} embedderUrl
 * @param {{ atOnce: number }} options calls to the embedder at the same time
 */
export async function openLangChain(embedderUrl, { atOnce }) {
  const { pool, close } = await openDatabase();
  const table = `langchain_${randomUUID().replaceAll('-', '')}`;
  await pool.query('create extension if not exists vector');
  await pool.query(
    `create table ${table} (id uuid not null default gen_random_uuid() primary key, text text, metadata jsonb, embedding vector)`,
  );
  const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 1000, chunkOverlap: 200 });
  const embeddings = new OpenAIEmbeddings({
    model: 'bench',
    apiKey: 'none',
    batchSize: 64,
    maxConcurrency: atOnce,
    configuration: { baseURL: embedderUrl },
  });
  return {
    /** @param {string[]} files one after the other */
    ingest: async (files) => {
      const began = performance.now();
      let chunks = 0;
      for (const file of files) {
        const parts = await splitter.splitDocuments(await load(file));
        const vectors = await embeddings.embedDocuments(parts.map(({ pageContent }) => pageContent));
        await insert(pool, table, parts, vectors);
        chunks += parts.length;
      }
      return { ms: performance.now() - began, chunks };
    },
    close,
  };
}

/** @param {string} file */
async function load(file) {
  const parser = new PDFParse({ data: new Uint8Array(await readFile(file)) });
  try {
    const { pages, total } = await parser.getText();
    const { info } = await parser.getInfo();
    return pages
      .filter(({ text }) => text)
      .map(({ text, num }) => ({
        pageContent: text,
        metadata: { source: basename(file), pdf: { info, totalPages: total }, loc: { pageNumber: num } },
      }));
  } finally {
    await parser.destroy();
  }
}

async function insert(pool, table, parts, vectors) {
  for (let start = 0; start < parts.length; start += rowsPerStatement) {
    const rows = parts.slice(start, start + rowsPerStatement);
    const places = rows.map((_, at) => `($${3 * at + 1}, $${3 * at + 2}, $${3 * at + 3})`);
    await pool.query(
      `insert into ${table} (text, embedding, metadata) values ${places.join(', ')}`,
      rows.flatMap(({ pageContent, metadata }, at) => [
        pageContent.replaceAll('\0', ''),
        `[${vectors[start + at].join(',')}]`,
        metadata,
      ]),
    );
  }
}

/** The same kind of database as the service has: the embedded engine, or a scratch database on the same server. */
async function openDatabase() {
  const engine = await scratchEngine();
  if (engine.env.DATABASE_URL) {
    const pool = new Pool({ connectionString: engine.env.DATABASE_URL });
    return { pool, close: () => pool.end().then(engine.drop) };
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'lectern-langchain-'));
  const pool = new EmbeddedPool({ dataDir: join(dataDir, 'database') });
  return { pool, close: () => pool.end().then(() => rm(dataDir, { recursive: true, force: true })) };
}
