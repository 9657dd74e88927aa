/** @file Sets of traces: made file by file, resumed to the same bytes, extended, imported, and kept apart by kind. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LocalTeacher } from '../teacher/local.ts';
import { randomPrompt, tinyEngine } from '../testing/tiny-engine.ts';
import type { Trace } from '../types.ts';
import { type MakeTraceSetOptions, makeTraceSet, type TracePrompts } from './make-trace-set.ts';
import type { TraceFile } from './trace-file.ts';
import { importTraces, TraceSet, verifyTraceFile } from './trace-set.ts';

let root: string;
let teacher: LocalTeacher;

beforeAll(async () => {
  teacher = new LocalTeacher(await tinyEngine('teacher'), 'ab'.repeat(32));
});
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-trace-set-'));
});
afterEach(() => rmSync(root, { recursive: true }));
afterAll(() => teacher.dispose());

const PROMPTS: TracePrompts = {
  description: { source: 'test' },
  prompt: (index) => ({
    ids: randomPrompt(3 + (index % 4), `prompt ${index}`),
    continuation: randomPrompt(6, `text ${index}`),
  }),
};

const options = (name: string, change: Partial<MakeTraceSetOptions> = {}): MakeTraceSetOptions => ({
  directory: join(root, name),
  teacher,
  prompts: PROMPTS,
  count: 10,
  mode: 'generate',
  topK: 8,
  precision: 'f16',
  maxNewTokens: 5,
  temperature: 1,
  topP: 1,
  seed: 'seed',
  untilEnd: false,
  fileTraces: 4,
  batch: 3,
  ...change,
});

const filesOf = (name: string) =>
  Object.fromEntries(readdirSync(join(root, name)).map((file) => [file, readFileSync(join(root, name, file))]));
const inOrder = (set: TraceSet): Trace[] =>
  [...set.files].sort((a, b) => a.header.first - b.header.first).flatMap((file) => [...tracesOf(file)]);
const tracesOf = (file: TraceFile) => Array.from({ length: file.length }, (_, i) => file.read(i));

describe('makeTraceSet', () => {
  it('writes what the teacher said, in files named by their content', async () => {
    const seen: number[] = [];
    const made = await makeTraceSet(options('one', { onProgress: ({ done }) => seen.push(done), precision: 'f32' }));
    expect(made).toEqual({ found: 0, made: 10 });
    expect(seen).toEqual([3, 4, 7, 8, 10]);
    const set = TraceSet.open(join(root, 'one'));
    expect(set.files.map(({ length }) => length).sort()).toEqual([2, 4, 4]);
    for (const file of set.files) await verifyTraceFile(file);
    const traces = inOrder(set);
    expect(traces.map(({ prompt }) => prompt)).toEqual(Array.from({ length: 10 }, (_, i) => PROMPTS.prompt(i).ids));
    // Alone with the same number, a prompt has the same continuation.
    const { Rng } = await import('@quasar/base');
    const alone = await teacher.generate([PROMPTS.prompt(7)], {
      ...{ maxNewTokens: 5, topK: 8, temperature: 1, topP: 1, untilEnd: false },
      seeds: [new Rng('seed/trace/7').int(0, 2 ** 31 - 1)],
    });
    expect(traces[7]!.continuation).toEqual(alone.traces[0]!.continuation);
    expect(traces[7]!.top.ids).toEqual(alone.traces[0]!.top.ids);
    for (const [j, logprob] of traces[7]!.top.logprobs.entries())
      expect(logprob).toBeCloseTo(alone.traces[0]!.top.logprobs[j]!, 5);
  });

  it('a run that was stopped at any batch ends with the bytes of one that was not', async () => {
    await makeTraceSet(options('whole'));
    const stopsAfter = [1, 2, 3, 4, 5];
    for (const batches of stopsAfter) {
      const name = `stopped ${batches}`;
      const controller = new AbortController();
      let left = batches;
      const onProgress = () => {
        if (--left === 0) controller.abort();
      };
      const stopped = makeTraceSet(options(name, { onProgress, signal: controller.signal }));
      if (batches < stopsAfter.length) await expect(stopped).rejects.toMatchObject({ code: 'infer.cancelled' });
      else await stopped;
      mkdirSync(join(root, name), { recursive: true });
      // What a kill in the middle of writing leaves.
      writeFileSync(join(root, name, 'half.traces.0123.tmp'), 'QSRTR');
      await makeTraceSet(options(name));
      rmSync(join(root, name, 'half.traces.0123.tmp'));
      expect(filesOf(name)).toEqual(filesOf('whole'));
    }
  });

  it('makes nothing twice, and more when more are wanted', async () => {
    await makeTraceSet(options('one'));
    const before = filesOf('one');
    expect(await makeTraceSet(options('one'))).toEqual({ found: 10, made: 0 });
    expect(filesOf('one')).toEqual(before);
    expect(await makeTraceSet(options('one', { count: 13 }))).toEqual({ found: 10, made: 3 });
    expect(TraceSet.open(join(root, 'one')).length).toBe(13);
    // Another seed is another job of the same set.
    expect(await makeTraceSet(options('one', { seed: 'other' }))).toEqual({ found: 0, made: 10 });
    expect(TraceSet.open(join(root, 'one')).length).toBe(23);
  });

  it('keeps the traces of another k or teacher apart', async () => {
    await makeTraceSet(options('one'));
    const other = new LocalTeacher(await tinyEngine('other'), 'cd'.repeat(32));
    for (const change of [{ topK: 9 }, { precision: 'f32' as const }, { teacher: other }])
      await expect(makeTraceSet(options('one', change))).rejects.toMatchObject({ code: 'infer.traces_differ' });
    other.dispose();
    await expect(makeTraceSet(options('none', { topK: 0 }))).rejects.toMatchObject({ code: 'infer.bad_top_k' });
    expect(() => TraceSet.open(join(root, 'none'))).toThrow(expect.objectContaining({ code: 'infer.no_traces' }));
  });

  it('says where it cannot write, and keeps what it has', async () => {
    writeFileSync(join(root, 'file'), '');
    await expect(makeTraceSet(options('file'))).rejects.toMatchObject({ code: 'infer.bad_trace_file' });
    await expect(makeTraceSet(options('file/below'))).rejects.toMatchObject({ code: 'infer.traces_unwritable' });
    await makeTraceSet(options('mine'));
    await expect(importTraces(join(root, 'file', 'below'), [join(root, 'mine')])).rejects.toMatchObject({
      code: 'infer.traces_unwritable',
    });
  });

  it('asks a teacher about texts that are given', async () => {
    await makeTraceSet(options('given', { mode: 'score', precision: 'f32', maxNewTokens: 4 }));
    const [trace] = inOrder(TraceSet.open(join(root, 'given')));
    const { ids, continuation } = PROMPTS.prompt(0);
    expect(trace!.prompt).toEqual(ids);
    expect(trace!.continuation).toEqual(continuation!.slice(0, 4));
    const { traces } = await teacher.score([{ tokens: Int32Array.of(...ids, ...continuation!), from: 3 }], { topK: 8 });
    expect(trace!.top.ids).toEqual(traces[0]!.top.ids.slice(0, 4 * 8));
    for (const [j, logprob] of trace!.top.logprobs.entries())
      expect(logprob).toBeCloseTo(traces[0]!.top.logprobs[j]!, 5);
  });
});

describe('importTraces', () => {
  it('adds what is sound and new', async () => {
    await makeTraceSet(options('mine'));
    await makeTraceSet(options('theirs', { seed: 'theirs' }));
    const added = (await importTraces(join(root, 'mine'), [join(root, 'theirs')])).added;
    expect(added.sort()).toEqual(readdirSync(join(root, 'theirs')).sort());
    expect((await importTraces(join(root, 'mine'), [join(root, 'theirs')])).added).toEqual([]);
    expect(TraceSet.open(join(root, 'mine')).length).toBe(20);
    expect((await importTraces(join(root, 'empty'), [join(root, 'theirs', added[0]!)])).added).toEqual([added[0]]);
  });

  it('adds nothing of a set with a damaged or strange file', async () => {
    await makeTraceSet(options('mine'));
    await makeTraceSet(options('theirs', { seed: 'theirs', precision: 'f32' }));
    const mine = filesOf('mine');
    await expect(importTraces(join(root, 'mine'), [join(root, 'theirs')])).rejects.toMatchObject({
      code: 'infer.traces_differ',
    });
    cpSync(join(root, 'mine'), join(root, 'damaged'), { recursive: true });
    const name = Object.keys(mine)[1]!;
    const bytes = Buffer.from(mine[name]!);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(root, 'damaged', name), bytes);
    await expect(importTraces(join(root, 'new'), [join(root, 'damaged')])).rejects.toMatchObject({
      code: 'infer.bad_trace_file',
    });
    await expect(importTraces(join(root, 'new'), [join(root, 'absent')])).rejects.toMatchObject({
      code: 'infer.traces_unreadable',
    });
    expect(() => TraceSet.open(join(root, 'new'))).toThrow(expect.objectContaining({ code: 'infer.no_traces' }));
    expect(filesOf('mine')).toEqual(mine);
  });
});
