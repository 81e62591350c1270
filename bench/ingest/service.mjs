import { pathToFileURL } from 'node:url';
import { allAnswer, newBase } from '../load.mjs';

/**
 * All files at once into a new base, until the last of them answers.
 *
 * @param {import('../../samples/demo/client.mjs').Client} client the base is new, so that nothing is reused
 * @param {string[]} files
 */
export async function ingestThroughService(client, files) {
  const base = await newBase(client);
  const began = performance.now();
  const paths = await Promise.all(
    files.map(async (file) => {
      const { id } = await client.upload(`${base}/documents`, pathToFileURL(file), 'application/pdf', {});
      return `${base}/documents/${id}`;
    }),
  );
  const { failed } = await allAnswer(client, base, files.length);
  if (failed.length > 0) throw new Error(`not all files could be read: ${JSON.stringify(failed)}`);
  const ms = performance.now() - began;
  const receipts = await Promise.all(paths.map(async (path) => (await client.get(path)).receipt));
  const chunks = receipts.reduce((sum, receipt) => sum + receipt.chunks.total, 0);
  return { ms, chunks, stages: receipts.map((receipt) => receipt.ms) };
}
