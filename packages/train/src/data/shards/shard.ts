/** @file Reading a shard. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { damaged, readPart } from './block-files.ts';
import {
  ENTRY_BYTES,
  fileSizes,
  type PassageEntry,
  parseHeader,
  readEntry,
  SHARD_FILES,
  type ShardHeader,
} from './format.ts';

/** Entries read at a time: 64 KiB. */
const ENTRIES = 4096;

export class Shard {
  readonly header: ShardHeader;
  readonly #folder: string;

  /** @throws QuasarError data.shard_damaged: digest of the header, or size of a file */
  constructor(folder: string) {
    this.#folder = folder;
    const path = join(folder, SHARD_FILES.header);
    let header: ShardHeader | null = null;
    try {
      header = parseHeader(readFileSync(path, 'utf8'));
    } catch (cause) {
      throw damaged(path, `cannot be read: ${(cause as Error).message}`);
    }
    if (header === null) throw damaged(path, 'is not as it was written, or of another version');
    for (const [name, sizeBytes] of Object.entries(fileSizes(header)) as ['tokens' | 'targets' | 'index', number][]) {
      if (name === 'targets' && !header.hasTargets) continue;
      const file = join(folder, SHARD_FILES[name]);
      const found = statSync(file, { throwIfNoEntry: false })?.size;
      if (found !== sizeBytes) throw damaged(file, `has ${found ?? 'no'} bytes, expected ${sizeBytes}`);
    }
    this.header = header;
  }

  /** Token ids [from, to). */
  ids(from: number, to: number): Int32Array {
    const { bytesPerId } = this.header;
    const { buffer } = readPart(join(this.#folder, SHARD_FILES.tokens), from * bytesPerId, to * bytesPerId);
    return bytesPerId === 2 ? Int32Array.from(new Uint16Array(buffer)) : new Int32Array(buffer);
  }

  /** Per token of [from, to), 1 when the model is to produce it, else 0. */
  targets(from: number, to: number): Uint8Array {
    if (!this.header.hasTargets) return new Uint8Array(to - from).fill(1);
    const first = from >> 3;
    const bits = readPart(join(this.#folder, SHARD_FILES.targets), first, (to + 7) >> 3);
    return Uint8Array.from({ length: to - from }, (_, i) => {
      const at = from + i - first * 8;
      return ((bits[at >> 3] as number) >> (at & 7)) & 1;
    });
  }

  /** All entries of the index in order. */
  *passages(): Generator<PassageEntry> {
    const { passages } = this.header;
    for (let first = 0; first < passages; first += ENTRIES) {
      const last = Math.min(passages, first + ENTRIES);
      const bytes = readPart(join(this.#folder, SHARD_FILES.index), first * ENTRY_BYTES, last * ENTRY_BYTES);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < last - first; i++) yield readEntry(view, i * ENTRY_BYTES);
    }
  }
}
