/** @file The documents of some shards, those to train on and those held out. */
import type { Shard } from './shards/shard.ts';

/** Longer ones are two documents: lengths are 32-bit. */
const MAX_DOCUMENT_TOKENS = 2 ** 31;

/** Documents that lie one after another in shards; 12 bytes of memory each. */
export class DocumentTable {
  readonly #shards: readonly Shard[];
  /** Per shard, where its tokens begin when all shards are laid end to end. */
  readonly #bases: readonly number[];
  #starts = new Float64Array(16);
  #lengths = new Uint32Array(16);
  #count = 0;
  #tokens = 0;
  #textBytes = 0;
  #predictedBytes = 0;

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
    let base = 0;
    this.#bases = shards.map(({ header }) => {
      base += header.tokens;
      return base - header.tokens;
    });
  }

  get documents(): number {
    return this.#count;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Of all their text, in UTF-8. */
  get textBytes(): number {
    return this.#textBytes;
  }

  /** Bytes of text per token that is predicted; nats per token divided by it and by ln 2 are bits per byte. */
  get bytesPerToken(): number {
    return this.#predictedBytes / Math.max(1, this.#tokens - this.#count);
  }

  add(document: { shard: number; start: number; tokens: number; textBytes: number; firstBytes: number }): void {
    if (this.#count === this.#starts.length) {
      const [starts, lengths] = [this.#starts, this.#lengths];
      this.#starts = new Float64Array(2 * this.#count);
      this.#lengths = new Uint32Array(2 * this.#count);
      this.#starts.set(starts);
      this.#lengths.set(lengths);
    }
    this.#starts[this.#count] = (this.#bases[document.shard] as number) + document.start;
    this.#lengths[this.#count] = document.tokens;
    this.#count++;
    this.#tokens += document.tokens;
    this.#textBytes += document.textBytes;
    this.#predictedBytes += document.textBytes - document.firstBytes;
  }

  length(document: number): number {
    return this.#lengths[document] as number;
  }

  /** Tokens [from, to) of a document, and for each whether the model is to produce it. */
  read(document: number, from: number, to: number): { ids: Int32Array; isTarget: Uint8Array } {
    const start = this.#starts[document] as number;
    const index = this.#shardAt(start);
    const shard = this.#shards[index] as Shard;
    const at = start - (this.#bases[index] as number);
    return { ids: shard.ids(at + from, at + to), isTarget: shard.targets(at + from, at + to) };
  }

  #shardAt(token: number): number {
    let [low, high] = [0, this.#bases.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#bases[middle] as number) <= token) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/**
 * A passage is held out when the hash of its text falls into `share`, so equal texts are on one side. If none does, those with the
 * lowest hash are, so that there are some; and the last passage where all say the same. Passages of one text that follow each other
 * on the same side are one document.
 */
export function splitCorpus(shards: readonly Shard[], share: number): { train: DocumentTable; heldOut: DocumentTable } {
  let [lowest, highest] = [Number.POSITIVE_INFINITY, 0];
  for (const shard of shards) {
    for (const { draw } of shard.passages()) {
      lowest = Math.min(lowest, draw);
      highest = Math.max(highest, draw);
    }
  }
  const limit = share === 0 ? 0 : Math.max(share * 2 ** 32, lowest + 1);
  const last =
    share > 0 && lowest === highest ? shards.reduce((sum, { header }) => sum + header.passages, 0) - 1 : null;
  const train = new DocumentTable(shards);
  const heldOut = new DocumentTable(shards);
  let number = 0;
  for (const [index, shard] of shards.entries()) {
    let at = 0;
    let run: Parameters<DocumentTable['add']>[0] | null = null;
    let table = train;
    for (const { tokens, draw, textBytes, continues, firstBytes } of shard.passages()) {
      const isHeldOut = last === null ? draw < limit : number === last;
      const side = isHeldOut ? heldOut : train;
      if (run !== null && continues && side === table && run.tokens + tokens < MAX_DOCUMENT_TOKENS) {
        run.tokens += tokens;
        run.textBytes += textBytes;
      } else {
        if (run !== null) table.add(run);
        run = { shard: index, start: at, tokens, textBytes, firstBytes };
        table = side;
      }
      at += tokens;
      number++;
    }
    if (run !== null) table.add(run);
  }
  return { train, heldOut };
}
