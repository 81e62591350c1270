import { crc32, inflateRawSync } from 'node:zlib';
import { PermanentFailure } from '../../errors.js';
import type { ReadBounds } from './parsed.js';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;

// Small parts of any office file shrink more than this: only what has some size can do harm.
const RATIO_FROM = 1024 * 1024;

interface Entry {
  name: string;
  method: number;
  encrypted: boolean;
  packedSize: number;
  offset: number;
}

const damaged = (why: string): PermanentFailure =>
  new PermanentFailure('unreadable_document', `The file is damaged: ${why}. Save it again and upload the new copy.`);

const tooLarge = (): PermanentFailure =>
  new PermanentFailure(
    'decompression_limit',
    'The file unpacks to far more than its size suggests, or to more than is accepted: it was not opened.',
  );

const tooMany = (): PermanentFailure =>
  new PermanentFailure('archive_entry_limit', 'The file holds more parts, or stranger parts, than any document needs.');

/**
 * Reads single parts of a ZIP from memory, within `bounds`: sizes are counted while inflating, since the declared ones are
 * an attacker's to choose. Nothing is written to disk, so entry names are only names. Any format that lives in a ZIP is
 * read through this. Throws `PermanentFailure`: `unreadable_document`, `archive_entry_limit`, `decompression_limit`,
 * `encrypted_document`.
 */
export class Archive {
  private readonly entries = new Map<string, Entry>();
  private inflated = 0;

  constructor(
    private readonly bytes: Buffer,
    private readonly bounds: ReadBounds,
  ) {
    for (const entry of readDirectory(bytes, bounds.entries)) {
      // Two entries of one name: readers disagree on which of them counts, so neither does.
      if (this.entries.has(entry.name)) throw damaged('two of its parts carry the same name');
      this.entries.set(entry.name, entry);
    }
  }

  get names(): string[] {
    return [...this.entries.keys()];
  }

  /** The part's bytes, or null when there is no such part. */
  read(name: string): Buffer | null {
    const entry = this.entries.get(name);
    if (!entry) return null;
    if (entry.encrypted) {
      throw new PermanentFailure('encrypted_document', 'The file is protected by a password: upload it without one.');
    }
    const content = this.unpack(entry);
    this.inflated += content.length;
    if (this.inflated > this.bounds.inflatedBytes) throw tooLarge();
    if (content.length > RATIO_FROM && content.length > entry.packedSize * this.bounds.ratio) throw tooLarge();
    return content;
  }

  private unpack(entry: Entry): Buffer {
    const packed = this.packedBytes(entry);
    if (packed.length > this.bounds.partBytes) throw tooLarge();
    if (entry.method === 0) return packed;
    if (entry.method !== 8) throw damaged('it is packed in a way that office documents are not');
    try {
      return inflateRawSync(packed, { maxOutputLength: this.bounds.partBytes });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
      throw new PermanentFailure('unreadable_document', 'A part of the file is damaged: save it again.', false, {
        cause,
      });
    }
  }

  private packedBytes({ name, offset, packedSize }: Entry): Buffer {
    const { bytes } = this;
    if (offset + 30 > bytes.length || bytes.readUInt32LE(offset) !== LOCAL) throw damaged('a part is missing');
    const nameEnd = offset + 30 + bytes.readUInt16LE(offset + 26);
    if (bytes.toString('utf8', offset + 30, nameEnd) !== name)
      throw damaged('its directory names other parts than it has');
    const start = nameEnd + bytes.readUInt16LE(offset + 28);
    if (start + packedSize > bytes.length) throw damaged('its end is missing');
    return bytes.subarray(start, start + packedSize);
  }
}

function readDirectory(bytes: Buffer, most: number): Entry[] {
  const end = findEnd(bytes);
  const size = bytes.readUInt32LE(end + 12);
  // Some writers prepend bytes and leave the offsets as they were; the directory always ends where the end record begins.
  const shift = end - size - bytes.readUInt32LE(end + 16);
  if (shift < 0) throw damaged('its directory is not where it should be');
  const entries: Entry[] = [];
  let at = end - size;
  while (at + 46 <= end && bytes.readUInt32LE(at) === CENTRAL) {
    if (entries.length >= most) throw tooMany();
    const nameEnd = at + 46 + bytes.readUInt16LE(at + 28);
    entries.push({
      name: bytes.toString('utf8', at + 46, nameEnd),
      encrypted: (bytes.readUInt16LE(at + 8) & 1) === 1,
      method: bytes.readUInt16LE(at + 10),
      packedSize: bytes.readUInt32LE(at + 20),
      offset: bytes.readUInt32LE(at + 42) + shift,
    });
    at = nameEnd + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  if (entries.length === 0) throw damaged('it has no parts');
  refuseOverlaps(entries);
  return entries;
}

function findEnd(bytes: Buffer): number {
  for (let at = bytes.length - 22; at >= Math.max(0, bytes.length - 65_557); at -= 1) {
    if (bytes.readUInt32LE(at) === END && bytes.readUInt32LE(at + 12) <= at) return at;
  }
  throw damaged('its end is missing');
}

/** Entries that share their bytes turn kilobytes into terabytes (Fifield 2019); honest archives have none. */
function refuseOverlaps(entries: readonly Entry[]): void {
  let free = 0;
  for (const entry of entries.toSorted((a, b) => a.offset - b.offset)) {
    if (entry.offset < free) throw tooMany();
    free = entry.offset + 30 + entry.packedSize;
  }
}

/** A ZIP of the given parts, stored without compression: what the next reader sees is exactly what was checked. */
export function packStored(parts: ReadonlyMap<string, Buffer>): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of parts) {
    const label = Buffer.from(name, 'utf8');
    const local = Buffer.alloc(30);
    local.writeUInt32LE(LOCAL, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt32LE(crc32(content), 14);
    local.writeUInt32LE(content.length, 18);
    local.writeUInt32LE(content.length, 22);
    local.writeUInt16LE(label.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(CENTRAL, 0);
    central.writeUInt16LE(20, 4);
    local.copy(central, 6, 4, 30);
    central.writeUInt32LE(offset, 42);
    locals.push(local, label, content);
    directory.push(central, label);
    offset += 30 + label.length + content.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(parts.size, 8);
  end.writeUInt16LE(parts.size, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, listing, end]);
}
