import { type Frame, framesOf, PARSED, statementOf } from './wire.js';

/** A batch as the thread is to run it, and how its answer looks to the client. */
export interface Translated {
  bytes: Buffer;
  /** @param output the thread's answer @returns what the client expects to the batch it sent */
  answer(output: Uint8Array): Uint8Array;
}

/**
 * The prepared statements of the one session that all clients share. Reading and planning a statement takes the engine
 * three quarters of its time, so each is parsed once in the life of a thread, whichever client asks: the next one's Parse
 * is answered here, and a thread that has not heard of a statement is told of it before its first use.
 */
export class SharedStatements {
  readonly #known = new Map<string, Frame>();
  readonly #parsed = new Set<string>();

  /** The thread is a new one: it knows no statement. */
  forget(): void {
    this.#parsed.clear();
  }

  translate(frames: readonly Frame[]): Translated {
    const names = [...new Set(frames.map(statementOf))].filter((name) => name !== '');
    const wanted = names.filter((name) => !this.#parsed.has(name));
    const asked = frames.filter(isNamedParse);
    if (wanted.length === 0 && asked.length === 0) return { bytes: bytesOf(frames), answer: (output) => output };
    for (const parse of asked) this.#known.set(statementOf(parse), parse);
    const first = wanted.flatMap((name) => this.#known.get(name) ?? []);
    const rest = frames.filter((frame) => !isNamedParse(frame));
    return {
      bytes: bytesOf([...first, ...rest]),
      answer: (output) => {
        const { frames: answers } = framesOf(Buffer.from(output.buffer, output.byteOffset, output.byteLength));
        const parsed = first.slice(0, answers.filter(isParsed).length).map(statementOf);
        for (const name of parsed) this.#parsed.add(name);
        const heard = asked.filter((parse) => this.#parsed.has(statementOf(parse)));
        let own = parsed.length;
        const others = answers.filter((answer) => !isParsed(answer) || own-- <= 0);
        return Buffer.concat([...heard.map(() => PARSED), ...others.map(({ bytes }) => bytes)]);
      },
    };
  }
}

const isNamedParse = (frame: Frame): boolean => frame.type === 'P' && statementOf(frame) !== '';
const isParsed = ({ type }: Frame): boolean => type === '1';
const bytesOf = (frames: readonly Frame[]): Buffer => Buffer.concat(frames.map(({ bytes }) => bytes));
