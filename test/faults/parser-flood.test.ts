import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OwnService, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';
import { onePage, packedStream, plainStream, shown } from './bombs.js';

describe('a flood of bombs', () => {
  let service: OwnService;
  let library: Library;

  beforeAll(async () => {
    // A bomb takes all the time there is, so there is little of it here, though enough for a page on a full machine.
    service = await startService({ env: { PARSER_PATIENCE_MS: '500', PARSER_TIMEOUT_MS: '1000' } });
    library = await openLibrary(service);
    await service.work();
  });
  afterAll(() => service?.stop());

  const upload = async (name: string, bytes: Buffer): Promise<string> => {
    const { status, body, text } = await library.uploadFile({
      bytes: new Uint8Array(bytes),
      name,
      type: 'application/pdf',
      fields: {},
    });
    if (status !== 202) throw new Error(text);
    return body.id;
  };

  it('40: twenty bombs at once: a page that comes after them is ready while they wait, and each of them ends by name', async () => {
    const bomb = onePage(packedStream(Buffer.from('BT /F1 9 Tf (tide) Tj ET\n'.repeat(4_000_000))));
    const bombs = await Promise.all(
      Array.from({ length: 20 }, (_, at) => upload(`bomb ${at}.pdf`, Buffer.concat([bomb, Buffer.from(`\n%${at}`)]))),
    );
    const page = await upload('page.pdf', onePage(plainStream(shown('The tide is high at noon.'))));
    await expect.poll(async () => (await library.get(page)).status, { timeout: 240_000, interval: 1000 }).toBe('ready');
    const failed = async () => (await Promise.all(bombs.map((id) => library.get(id)))).map(({ error }) => error?.code);
    expect(await failed()).toContain(undefined);
    expect((await library.search('when is the tide high')).results[0]?.document.id).toBe(page);

    await expect
      .poll(async () => (await failed()).includes(undefined), { timeout: 170_000, interval: 5_000 })
      .toBe(false);
    for (const code of await failed()) expect(['parser_timeout', 'parser_memory']).toContain(code);
  }, 450_000);
});
