/** @file Files of traces: what is written is read, sizes are as designed, and a stranger's file is refused or sound. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuasarError, Rng } from '@quasar/base';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emptyReport } from '../teacher/teacher.ts';
import type { Trace } from '../types.ts';
import { TRACE_FORMAT, type TraceHeader, type TraceJob } from './header.ts';
import { encodeTraceFile, TraceFile, viewBytes } from './trace-file.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-trace-file-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const DIGEST = 'ab'.repeat(32);
const JOB: TraceJob = {
  teacher: { kind: 'local', family: 'quasar', weightsSha256: DIGEST, tokenizerSha256: DIGEST },
  tokenizerSha256: DIGEST,
  vocabSize: 50,
  k: 4,
  precision: 'f16',
  mode: 'generate',
  maxNewTokens: 8,
  temperature: 1,
  topP: 0.9,
  seed: 'a seed',
  untilEnd: false,
  prompts: { source: 'world', turns: 3 },
};
const headerOf = (job: TraceJob): TraceHeader => ({ format: TRACE_FORMAT, job, first: 0, report: emptyReport() });

/** A trace of random ids whose views are distributions. */
function randomTrace(job: TraceJob, promptTokens: number, tokens: number, seed: string): Trace {
  const rng = new Rng(seed);
  const { k, vocabSize } = job;
  const id = () => rng.int(0, vocabSize - 1);
  const top = {
    k,
    ids: new Int32Array(tokens * k),
    logprobs: new Float32Array(tokens * k),
    tail: new Float32Array(tokens),
  };
  const all = Array.from({ length: vocabSize }, (_, i) => i);
  for (let row = 0; row < tokens; row++) {
    const masses = Array.from({ length: k + 1 }, () => rng.next() ** 4 + 1e-6);
    const total = masses.reduce((sum, mass) => sum + mass, 0);
    const best = masses.slice(1).sort((a, b) => b - a);
    top.ids.set(rng.sample(all, k), row * k);
    top.logprobs.set(
      best.map((mass) => Math.log(mass / total)),
      row * k,
    );
    top.tail[row] = masses[0]! / total;
  }
  return {
    prompt: Int32Array.from({ length: promptTokens }, id),
    continuation: Int32Array.from({ length: tokens }, id),
    top,
  };
}

function write(bytes: Uint8Array): string {
  const path = join(root, 'one.traces');
  writeFileSync(path, bytes);
  return path;
}

const traces = (job: TraceJob) =>
  [
    [3, 5],
    [1, 0],
    [7, 2],
  ].map(([prompt, tokens], i) => randomTrace(job, prompt!, tokens!, `trace ${i}`));

describe('a file of traces', () => {
  it.each([50, 65_536, 65_537, 300_000])('comes back with a vocabulary of %d, to the bit in 32 bits', (vocabSize) => {
    const job = { ...JOB, vocabSize, precision: 'f32' as const };
    const file = TraceFile.open(write(encodeTraceFile(headerOf(job), traces(job))));
    expect(file.header).toEqual(headerOf(job));
    expect(Array.from({ length: file.length }, (_, i) => file.read(i))).toEqual(traces(job));
    expect(file.prompts()).toEqual(traces(job).map(({ prompt }) => prompt));
  });

  it('comes back in 16 bits to a two thousandth', () => {
    const file = TraceFile.open(write(encodeTraceFile(headerOf(JOB), traces(JOB))));
    for (const [i, { prompt, continuation, top }] of traces(JOB).entries()) {
      const got = file.read(i);
      expect([got.prompt, got.continuation, got.top.ids]).toEqual([prompt, continuation, top.ids]);
      for (const key of ['logprobs', 'tail'] as const)
        for (const [j, value] of got.top[key].entries())
          expect(Math.abs(value - top[key][j]!)).toBeLessThanOrEqual(Math.abs(top[key][j]!) / 2000 + 2 ** -24);
    }
  });

  it('has the sizes of the design: 386 bytes for the top 64 of a large vocabulary in 16 bits', () => {
    expect(viewBytes({ ...JOB, k: 64, vocabSize: 248_320 })).toBe(386);
    expect(viewBytes({ ...JOB, k: 64, vocabSize: 32_000 })).toBe(258);
    const job = { ...JOB, k: 16 };
    const [trace] = [randomTrace(job, 3, 10, 'sized')];
    const bytes = encodeTraceFile(headerOf(job), [trace]);
    const json = bytes.length - 16 - 8 - 13 * 2 - 10 * viewBytes(job);
    expect(json).toBe(Buffer.from(bytes).readUInt32LE(8));
  });

  it('is refused where a number lies', () => {
    const job = { ...JOB, precision: 'f32' as const };
    const spoil = (change: (trace: Trace) => void) => {
      const trace = randomTrace(job, 2, 3, 'spoiled');
      change(trace);
      const file = TraceFile.open(write(encodeTraceFile(headerOf(job), [trace])));
      expect(() => file.read(0)).toThrow(expect.objectContaining({ code: 'infer.bad_trace_file' }));
    };
    const sound = randomTrace(job, 2, 3, 'spoiled');
    expect(TraceFile.open(write(encodeTraceFile(headerOf(job), [sound]))).read(0)).toEqual(sound);
    spoil(({ prompt }) => prompt.fill(50));
    spoil(({ continuation }) => continuation.fill(99));
    spoil(({ top }) => top.ids.fill(50, 4, 5));
    spoil(({ top }) => top.ids.fill(7, 4, 6));
    spoil(({ top }) => top.logprobs.fill(Number.NaN, 4, 5));
    spoil(({ top }) => top.logprobs.fill(Number.NEGATIVE_INFINITY, 7, 8));
    spoil(({ top }) => top.logprobs.fill(0.5, 4, 5));
    spoil(({ top }) => top.logprobs.reverse());
    spoil(({ top }) => top.logprobs.fill(-0.1, 0, 4));
    spoil(({ top }) => top.logprobs.fill(-9, 0, 4));
    spoil(({ top }) => top.tail.fill(-0.1, 1, 2));
    spoil(({ top }) => top.tail.fill(Number.NaN, 1, 2));
  });

  it('is refused where a length lies, without memory for it', () => {
    const bytes = Buffer.from(encodeTraceFile(headerOf(JOB), traces(JOB)));
    const tableAt = 16 + bytes.readUInt32LE(8);
    const refuse = (change: (copy: Buffer) => Buffer | undefined) => {
      const copy = Buffer.from(bytes);
      const path = write(change(copy) ?? copy);
      const before = process.memoryUsage().arrayBuffers;
      expect(() => TraceFile.open(path)).toThrow(expect.objectContaining({ code: 'infer.bad_trace_file' }));
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
    };
    refuse((copy) => copy.subarray(0, 0));
    refuse((copy) => copy.subarray(0, 15));
    refuse((copy) => copy.subarray(0, tableAt - 1));
    refuse((copy) => copy.subarray(0, copy.length - 1));
    refuse((copy) => Buffer.concat([copy, Buffer.of(0)]));
    for (const at of [8, 12, tableAt, tableAt + 4, tableAt + 8])
      for (const value of [0xffffffff, 0x7fffffff, bytes.readUInt32LE(at) + 1])
        refuse((copy) => {
          copy.writeUInt32LE(value, at);
          return undefined;
        });
  });

  it.each([
    { format: 2 },
    { first: -1 },
    { first: 0.5 },
    { report: null },
    { job: [] },
    { job: { ...JOB, k: 1025 } },
    { job: { ...JOB, vocabSize: 2 ** 31 } },
    { job: { ...JOB, precision: 'f8' } },
    { job: { ...JOB, tokenizerSha256: 'AB' } },
    { job: { ...JOB, seed: 'a\u001b[31m' } },
    { job: { ...JOB, temperature: '1' } },
    { job: { ...JOB, prompts: { source: {} } } },
    { job: { ...JOB, teacher: { kind: 'remote' } } },
  ])('is refused with a header of %j', (change) => {
    const header = { ...headerOf(JOB), ...change } as TraceHeader;
    const bytes = encodeTraceFile(headerOf(JOB), []);
    const json = Buffer.from(JSON.stringify(header));
    const fixed = Buffer.from(bytes.subarray(0, 16));
    fixed.writeUInt32LE(json.length, 8);
    const path = write(Buffer.concat([fixed, json]));
    expect(() => TraceFile.open(path)).toThrow(expect.objectContaining({ code: 'infer.bad_trace_file' }));
  });

  it('a stranger cannot crash the reader: any change is refused, or gives traces that hold the rules', () => {
    const bytes = Buffer.from(encodeTraceFile(headerOf(JOB), traces(JOB)));
    const change = fc.record({ at: fc.nat(bytes.length - 1), value: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.option(fc.nat(bytes.length)), (changes, cut) => {
        const copy = Buffer.from(bytes);
        for (const { at, value } of changes) copy[at] = value;
        const path = write(cut === null ? copy : copy.subarray(0, cut));
        try {
          const file = TraceFile.open(path);
          for (let i = 0; i < file.length; i++) {
            const { continuation, top } = file.read(i);
            expect(top.tail).toHaveLength(continuation.length);
            const { k, vocabSize } = file.header.job;
            for (const id of [...continuation, ...top.ids]) expect(id).toBeLessThan(vocabSize);
            for (let row = 0; row < continuation.length; row++) {
              const logprobs = [...top.logprobs.subarray(row * k, (row + 1) * k)];
              const mass = logprobs.reduce((sum, logprob) => sum + Math.exp(logprob), top.tail[row]!);
              expect(Math.abs(mass - 1)).toBeLessThan(0.03);
            }
          }
        } catch (error) {
          if (!(error instanceof QuasarError)) throw error;
          expect(error.code).toBe('infer.bad_trace_file');
        }
      }),
      { numRuns: 300 },
    );
  });

  it('random bytes after the magic are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        const path = write(Buffer.concat([Buffer.from('QSRTRACE'), noise]));
        expect(() => TraceFile.open(path)).toThrow(expect.objectContaining({ code: 'infer.bad_trace_file' }));
      }),
    );
  });

  it('is named by its content', async () => {
    const bytes = encodeTraceFile(headerOf(JOB), traces(JOB));
    const path = write(bytes);
    expect(encodeTraceFile(headerOf(JOB), traces(JOB))).toEqual(bytes);
    const digest = await TraceFile.open(path).digest();
    const { createHash } = await import('node:crypto');
    expect(digest).toBe(createHash('sha256').update(readFileSync(path)).digest('hex'));
  });
});
