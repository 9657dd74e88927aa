/** @file Writing a shard as the documents come, in a folder that gets its name when all is on disk. */
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ENTRY_BYTES, emitHeader, type PassageEntry, SHARD_FILES, type ShardHeader, writeEntry } from './format.ts';

const BUFFER_BYTES = 1 << 20;

export class ShardWriter {
  readonly #folder: string;
  readonly #bytesPerId: 2 | 4;
  readonly #tokens: Appender;
  readonly #targets: Appender;
  readonly #index: Appender;
  #tokenCount = 0;
  #passages = 0;
  #documents = 0;
  #textBytes = 0;
  #hasTargets = false;
  /** Bits of `targets.bin` that do not fill a byte yet. */
  #bits = 0;

  constructor(folder: string, vocabSize: number) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.#bytesPerId = vocabSize <= 65_536 ? 2 : 4;
    this.#tokens = new Appender(join(folder, SHARD_FILES.tokens));
    this.#targets = new Appender(join(folder, SHARD_FILES.targets));
    this.#index = new Appender(join(folder, SHARD_FILES.index));
  }

  /** @param isTarget [ids.length] of 0 and 1; absent where all are 1 */
  append(ids: Int32Array, isTarget: Uint8Array | null, entry: Omit<PassageEntry, 'tokens'>): void {
    // Every machine that Node runs on is little-endian.
    const packed = this.#bytesPerId === 2 ? Uint16Array.from(ids) : ids;
    this.#tokens.append(new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength));
    this.#appendTargets(ids.length, isTarget);
    const record = new DataView(new ArrayBuffer(ENTRY_BYTES));
    writeEntry({ tokens: ids.length, ...entry }, record, 0);
    this.#index.append(new Uint8Array(record.buffer));
    this.#passages++;
    if (!entry.continues) this.#documents++;
    this.#textBytes += entry.textBytes;
    this.#hasTargets ||= isTarget !== null;
  }

  get documents(): number {
    return this.#documents;
  }

  /** Everything is on disk after it. */
  finish(rest: Pick<ShardHeader, 'version' | 'key' | 'skipped'>): void {
    if (this.#tokenCount % 8 !== 0) this.#targets.append(Uint8Array.of(this.#bits));
    for (const file of [this.#tokens, this.#targets, this.#index]) file.close();
    if (!this.#hasTargets) rmSync(join(this.#folder, SHARD_FILES.targets));
    const header: ShardHeader = {
      ...rest,
      bytesPerId: this.#bytesPerId,
      tokens: this.#tokenCount,
      passages: this.#passages,
      documents: this.#documents,
      hasTargets: this.#hasTargets,
      textBytes: this.#textBytes,
    };
    const file = new Appender(join(this.#folder, SHARD_FILES.header));
    file.append(Buffer.from(emitHeader(header)));
    file.close();
  }

  /** Removes all of it. */
  abandon(): void {
    for (const file of [this.#tokens, this.#targets, this.#index]) file.abandon();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #appendTargets(count: number, isTarget: Uint8Array | null): void {
    const bytes: number[] = [];
    for (let i = 0; i < count; i++) {
      const bit = this.#tokenCount++ % 8;
      this.#bits |= (isTarget === null ? 1 : (isTarget[i] as number)) << bit;
      if (bit < 7) continue;
      bytes.push(this.#bits);
      this.#bits = 0;
    }
    this.#targets.append(Uint8Array.from(bytes));
  }
}

/** A file that grows, written in large parts. */
class Appender {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #used = 0;
  #isOpen = true;

  constructor(path: string) {
    this.#fd = openSync(path, 'wx', 0o644);
  }

  append(bytes: Uint8Array): void {
    if (this.#used + bytes.length > BUFFER_BYTES) this.#flush();
    if (bytes.length > BUFFER_BYTES) this.#write(bytes);
    else {
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.length;
    }
  }

  close(): void {
    this.#flush();
    fsyncSync(this.#fd);
    this.abandon();
  }

  abandon(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }

  #flush(): void {
    this.#write(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
  }
}
