// What the demo prints, and how it complains.

const began = performance.now();
let steps = 0;

export const seconds = () => ((performance.now() - began) / 1000).toFixed(1);

/** @param {string} title what the next lines are about */
export function step(title) {
  steps += 1;
  console.log(`\n${String(steps).padStart(2)}  ${title}`);
}

/** @param {string} line */
export const say = (line) => console.log(`    ${line}`);

/**
 * @param {string} who
 * @param {import('./client.mjs').Answer} answer
 */
export function showAnswer(who, answer) {
  say(`${who}: ${answer.outcome}, ${answer.mode}, confidence ${answer.confidence}`);
  for (const line of answer.answer.split('\n').filter((part) => part.trim() !== '')) say(`  > ${line}`);
  for (const { marker, title, section, page, quote } of answer.citations) {
    const place = [...new Set([title, ...section]), ...(page === null ? [] : [`page ${page}`])].join(' / ');
    say(`  [${marker}] ${place}`);
    say(`      "${shortened(quote)}"`);
  }
}

/** @param {string} text */
function shortened(text) {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > 110 ? `${line.slice(0, 107)}...` : line;
}

/** The story did not go as it should: the demo ends with this and with exit code 1. */
export class Disappointment extends Error {
  /**
   * @param {string} expected
   * @param {unknown} came
   */
  constructor(expected, came) {
    super(`expected ${expected}\n    came     ${typeof came === 'string' ? came : JSON.stringify(came)}`);
  }
}

/**
 * @param {boolean} holds
 * @param {string} expected in words
 * @param {unknown} came
 */
export function expect(holds, expected, came) {
  if (!holds) throw new Disappointment(expected, came);
}
