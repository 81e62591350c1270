import { setTimeout as pause } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { inBackground, inLane, soon } from '../../src/platform/lane.js';

const people = <T>(work: () => T): T => work();
const kinds = { people, soon, usual: inBackground };
type Kind = keyof typeof kinds;

/** A transaction of a kind that stands open until it is told to end; `ends` grows as transactions do. */
let ends: string[];
beforeEach(() => void (ends = []));

function open(kind: Kind) {
  let end: (() => void) | undefined;
  const until = new Promise<void>((resolve) => (end = resolve));
  const ended = kinds[kind](() => inLane(() => until.then(() => void ends.push(kind))));
  return { end: () => end?.(), ended };
}

const run = (kind: Kind) => kinds[kind](() => inLane(async () => void ends.push(kind)));

describe('a transaction', () => {
  it.each<[Kind, Kind]>([
    ['soon', 'people'],
    ['usual', 'people'],
    ['usual', 'soon'],
  ])('of kind "%s" stands back while one of kind "%s" runs', async (later, first) => {
    const running = open(first);
    await pause(1);
    const waiting = run(later);
    await pause(10);
    expect(ends).toEqual([]);
    running.end();
    await Promise.all([running.ended, waiting]);
    expect(ends).toEqual([first, later]);
  });

  it.each<[Kind, Kind]>([
    ['people', 'usual'],
    ['people', 'soon'],
    ['people', 'people'],
    ['soon', 'usual'],
    ['soon', 'soon'],
    ['usual', 'usual'],
  ])('of kind "%s" does not wait for one of kind "%s"', async (later, first) => {
    const running = open(first);
    await pause(1);
    await run(later);
    expect(ends).toEqual([later]);
    running.end();
    await running.ended;
  });

  it('of kind "usual" lets a moment pass after a question, one of kind "soon" does not', async () => {
    await inLane(async () => undefined, true);
    const later = run('usual');
    await run('soon');
    expect(ends).toEqual(['soon']);
    await later;
    expect(ends).toEqual(['soon', 'usual']);
  });

  it('of what is soon done is so too where that calls itself background work', async () => {
    await inLane(async () => undefined, true);
    const later = run('usual');
    await soon(() => run('usual'));
    expect(ends).toEqual(['usual']);
    await later;
  });

  it('goes on after a while, however long others are running', async () => {
    const running = open('people');
    await run('usual');
    expect(ends).toEqual(['usual']);
    running.end();
    await running.ended;
  });
});
