/**
 * @file A million headers, mutated from good ones by a seed: none throws, none takes memory or time beyond its size, and what is
 * accepted keeps every promise of the reader. Indexes of shards likewise.
 */
import { Rng } from '@quasar/base';
import { expect, it } from 'vitest';
import { MAX_TENSORS, readSafetensorsHeader, writeHeader } from './safetensors.ts';
import { parseWeightIndex } from './weight-index.ts';

const HEADERS = 1_000_000;
const INDEXES = 100_000;
/** Whole headers weigh less than a kilobyte here; what is alive between two of them must not add up. */
const MAX_HEAP_BYTES = 256 * 2 ** 20;

const NUMBERS = ['-1', '0', '1', '7', '1e999', '1.5', '-0', '9007199254740993', '18446744073709551615', '4294967296'];
const TOKENS = [
  ...NUMBERS,
  ...['{', '}', '[', ']', ',', ':', '"', '\\', '\\u0000', '\\ud800', 'null', 'true', '{}', '[]', '[[[[', '""', ' '],
  ...['"dtype"', '"shape"', '"data_offsets"', '"F32"', '"BF16"', '"I64"', '"F64"', '"__metadata__"', '"__proto__"'],
  ...['"weight_map"', '"metadata"', '"total_size"', '"../a.safetensors"', '"model-00001-of-00002.safetensors"'],
];

/** Some places of a text replaced, removed, doubled or filled with what a parser may stumble over. */
function mutate(text: string, rng: Rng): string {
  let out = text;
  for (let n = rng.int(1, 3); n > 0; n--) {
    const from = rng.int(0, out.length);
    const to = Math.min(out.length, from + rng.int(0, rng.pick([1, 4, 40])));
    const piece = out.slice(from, to);
    const number = /\d+/g;
    switch (rng.int(0, 4)) {
      case 0:
        out = out.slice(0, from) + out.slice(to);
        break;
      case 1:
        out = out.slice(0, to) + piece.repeat(rng.int(1, 3)) + out.slice(to);
        break;
      case 2:
        out = out.slice(0, from) + rng.pick(TOKENS) + out.slice(to);
        break;
      case 3:
        out = out.slice(0, from) + String.fromCharCode(rng.int(0, 255)) + out.slice(from + 1);
        break;
      default: {
        number.lastIndex = from;
        const found = number.exec(out);
        if (found) out = out.slice(0, found.index) + rng.pick(NUMBERS) + out.slice(number.lastIndex);
      }
    }
  }
  return out;
}

/** The header of a few tensors of random shapes, with its file size. */
function goodHeader(rng: Rng): { json: string; dataBytes: number } {
  const tensors = Array.from({ length: rng.int(0, 6) }, (_, i) => {
    const shape = Array.from({ length: rng.int(0, 3) }, () => rng.int(0, 9));
    return [`t.${i}.weight`, { shape, dtype: rng.pick(['F32', 'BF16'] as const) }] as const;
  });
  const metadata: Record<string, string> = rng.int(0, 1) ? { format: 'pt' } : {};
  const bytes = writeHeader(tensors, metadata);
  const dataBytes = tensors.reduce((sum, [, { shape, dtype }]) => {
    return sum + shape.reduce((product, n) => product * n, dtype === 'F32' ? 4 : 2);
  }, 0);
  return { json: Buffer.from(bytes.subarray(8)).toString('latin1'), dataBytes };
}

/** Bytes of the heap that live now. */
const heapBytes = () => process.memoryUsage().heapUsed;

it('a million headers', { timeout: 600_000 }, () => {
  const rng = new Rng('headers');
  const good = Array.from({ length: 200 }, () => goodHeader(rng));
  const codes = new Map<string, number>();
  let accepted = 0;
  let slowestMs = 0;
  const before = heapBytes();
  const startedAtMs = performance.now();
  for (let i = 0; i < HEADERS; i++) {
    const { json, dataBytes } = rng.pick(good);
    const text = Buffer.from(i % 100 === 0 ? json : mutate(json, rng), 'latin1');
    const bytes = Buffer.alloc(8 + text.length);
    bytes.writeBigUInt64LE(rng.int(0, 99) === 0 ? BigInt(rng.uint32()) << BigInt(rng.int(0, 31)) : BigInt(text.length));
    text.copy(bytes, 8);
    const fileSize = bytes.length + dataBytes + (rng.int(0, 99) === 0 ? rng.int(-9, 9) : 0);
    const beganAtMs = performance.now();
    const result = readSafetensorsHeader(bytes, fileSize);
    slowestMs = Math.max(slowestMs, performance.now() - beganAtMs);
    if (!result.ok) {
      for (const { code } of result.issues) codes.set(code, (codes.get(code) ?? 0) + 1);
      continue;
    }
    accepted++;
    // What is accepted tiles the file.
    const { tensors, headerBytes } = result.value;
    const ranges = [...tensors.values()].sort((a, b) => a.start - b.start || a.end - b.end);
    let at = headerBytes;
    for (const { start, end } of ranges) {
      if (start !== at || end < start) throw new Error(`accepted ${text}`);
      at = end;
    }
    if (at !== fileSize || tensors.size > MAX_TENSORS) throw new Error(`accepted ${text}`);
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  const grownMiB = (heapBytes() - before) / 2 ** 20;
  console.log(
    `${HEADERS} headers in ${seconds.toFixed(1)} s (${Math.round(HEADERS / seconds)} per s), ${accepted} accepted, ` +
      `slowest ${slowestMs.toFixed(1)} ms, heap ${grownMiB.toFixed(0)} MiB more`,
  );
  console.log([...codes].map(([code, count]) => `${code} ${count}`).join(', '));
  expect(accepted).toBeGreaterThan(HEADERS / 100);
  expect(codes.size).toBeGreaterThan(12);
  expect(heapBytes() - before).toBeLessThan(MAX_HEAP_BYTES);
  expect(slowestMs).toBeLessThan(1000);
});

it('a hundred thousand indexes of shards', { timeout: 600_000 }, () => {
  const rng = new Rng('indexes');
  const names = [1, 2, 3].map((n) => `model-0000${n}-of-00003.safetensors`);
  const map = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`t.${i}`, names[i % 3]]));
  const good = JSON.stringify({ metadata: { total_size: 1000 }, weight_map: map }, null, 1);
  const codes = new Set<string>();
  for (let i = 0; i < INDEXES; i++) {
    const text = mutate(good, rng);
    const result = parseWeightIndex(text);
    if (!result.ok) for (const { code } of result.issues) codes.add(code);
    else
      for (const file of result.value.shardOf.values())
        expect(names.includes(file) || /^[\w.-]+$/.test(file), text).toBe(true);
  }
  console.log(`${INDEXES} indexes: ${[...codes].join(', ')}`);
  expect(codes.size).toBeGreaterThan(6);
});
