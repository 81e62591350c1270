import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that buffers hold, once those nobody refers to are collected: when that happens by itself is the engine's affair. */
export function heldByBuffers(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}
