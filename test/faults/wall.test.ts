import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeMortal, type MortalService } from './mortal-service.js';

let service: MortalService;

beforeEach(async () => (service = await makeMortal()));
afterEach(() => service.remove());

describe('the process that users start', () => {
  it('95: ends instead, and says why, when one table does not force row-level security', async () => {
    // A database on a server is empty as yet; the embedded one is a copy of one that is not.
    if (process.env['DATABASE_URL']) await service.start();
    await service.stop();
    await service.rows('alter table document no force row level security');
    await expect(service.start()).rejects.toThrow('table document does not force row-level security');
  });
});
