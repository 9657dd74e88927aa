/** @file Traces as training data: what each document says, order, positions, the held-out side, packed views. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine, LocalTeacher, makeTraceSet, TraceSet } from '@quasar/infer';
import { trainBpe } from '@quasar/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOKENIZER, tinyCheckpoint } from '../testing/tiny.ts';
import { pack } from './batch.ts';
import { textSource } from './source.ts';
import { listedPrompts, textPrompts, worldPrompts } from './trace-prompts.ts';
import { traceSource } from './trace-source.ts';

const K = 5;
let root: string;
let set: TraceSet;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-trace-source-'));
  const { config, parameters, tokenizer } = tinyCheckpoint('teacher');
  const [device] = [...parameters.values()].map((tensor) => tensor.device);
  const teacher = new LocalTeacher(new Engine(config, parameters, tokenizer, device!), 'ab'.repeat(32));
  const make = (directory: string, count: number) =>
    makeTraceSet({
      ...{ directory, teacher, count, mode: 'generate', topK: K, precision: 'f32', maxNewTokens: 6 },
      ...{ temperature: 1, topP: 1, seed: 'seed', untilEnd: false, fileTraces: 16 },
      prompts: worldPrompts(tokenizer, { seed: 'prompts', turns: 1, maxPromptTokens: 400 }),
    });
  await make(join(root, 'set'), 60);
  await make(join(root, 'one'), 1);
  set = TraceSet.open(join(root, 'set'));
  teacher.dispose();
});
afterAll(() => rmSync(root, { recursive: true }));

const key = (ids: Int32Array) => ids.join();
const draw = (source: { open(seed: string): { next(): { ids: Int32Array } } }, seed: string, count: number) => {
  const reader = source.open(seed);
  return Array.from({ length: count }, () => key(reader.next().ids));
};

describe('traceSource', () => {
  it('gives each trace once in a round: the prompt counts nothing, the continuation has views', () => {
    const source = traceSource(set, TOKENIZER, 'train');
    const traces = new Map(
      [...set.traces()].map((trace) => [key(Int32Array.of(...trace.prompt, ...trace.continuation)), trace]),
    );
    const reader = source.open('seed');
    const heldOut = new Set(draw(traceSource(set, TOKENIZER, 'held_out'), 'seed', 30));
    const N = 60 - heldOut.size;
    expect(heldOut.size).toBeGreaterThan(0);
    const seen = new Set<string>();
    for (let i = 0; i < N; i++) {
      const { ids, weights, teacher } = reader.next();
      const { prompt, continuation, top } = traces.get(key(ids))!;
      expect([...weights]).toEqual([...prompt.map(() => 0), ...continuation.map(() => 1)]);
      expect(teacher).toEqual({ from: prompt.length, top });
      seen.add(key(ids));
    }
    expect(seen.size).toBe(N);
    for (const each of heldOut) expect(seen.has(each)).toBe(false);
    expect(seen.size + heldOut.size).toBe(traces.size);
  });

  it('has an order of its seed, another one every round, and goes on from a position', () => {
    const source = traceSource(set, TOKENIZER, 'train');
    const first = draw(source, 'seed', 120);
    expect(draw(traceSource(set, TOKENIZER, 'train'), 'seed', 120)).toEqual(first);
    expect(draw(source, 'other', 120)).not.toEqual(first);
    const N = new Set(first).size;
    expect(first.slice(N, 2 * N)).not.toEqual(first.slice(0, N));
    expect(new Set(first.slice(N, 2 * N)).size).toBe(N);
    const reader = source.open('seed');
    for (let i = 0; i < N + 3; i++) reader.next();
    const resumed = source.open('seed', reader.position);
    expect(key(resumed.next().ids)).toBe(first[N + 3]);
  });

  it('lays its views into batches: each is of the prediction of its token', () => {
    const source = traceSource(set, TOKENIZER, 'train');
    const [B, T] = [2, 200];
    const batch = pack(source.open('seed'), B, T);
    const { index, top } = batch.teacher!;
    expect(index.length).toBeGreaterThan(6);
    const weighted = [...batch.weights.keys()].filter((i) => batch.weights[i]! > 0);
    expect([...index]).toEqual(weighted);
    const reader = source.open('seed');
    const { ids, teacher } = reader.next();
    expect(batch.targets[index[0]!]).toBe(ids[teacher!.from]);
    expect(top.ids.slice(0, K)).toEqual(teacher!.top.ids.slice(0, K));
  });

  it('refuses a student of another vocabulary, and a side that is empty', () => {
    const other = trainBpe(['something else'], { vocabSize: TOKENIZER.vocabSize });
    expect(() => traceSource(set, other, 'train')).toThrow(
      expect.objectContaining({ code: 'infer.vocabulary_differs' }),
    );
    const one = TraceSet.open(join(root, 'one'));
    const codes = (['train', 'held_out'] as const).map((part) => {
      try {
        return traceSource(one, TOKENIZER, part).name;
      } catch (error) {
        return (error as { code: string }).code;
      }
    });
    expect(codes.sort()).toEqual(['data.too_few_traces', 'traces']);
  });
});

describe('prompts', () => {
  const decode = (ids: Int32Array) => TOKENIZER.decode(ids, { specials: true });

  it('of the world end where a reply begins, and are followed by the right one', () => {
    const prompts = worldPrompts(TOKENIZER, { seed: 'a', turns: 2, maxPromptTokens: 600 });
    const { ids, messages, continuation } = prompts.prompt(3);
    expect(decode(ids)).toMatch(/<\|assistant\|>$/);
    expect(messages!.at(-1)!.role).toBe('user');
    expect(decode(continuation!)).toMatch(/.<\|end\|>$/s);
    expect(prompts.prompt(3)).toEqual({ ids, messages, continuation });
    expect(prompts.prompt(4).ids).not.toEqual(ids);
    expect(ids.length).toBeLessThanOrEqual(600);
    const short = worldPrompts(TOKENIZER, { seed: 'a', turns: 1, maxPromptTokens: 3 });
    expect(() => short.prompt(0)).toThrow(expect.objectContaining({ code: 'data.prompt_too_long' }));
  });

  it('of a text are pieces of it', () => {
    const ids = Int32Array.from({ length: 100 }, (_, i) => i);
    const prompts = textPrompts(textSource('text', ids, 15), { seed: 'a', promptTokens: 10, continuationTokens: 5 });
    for (let i = 0; i < 20; i++) {
      const { ids: prompt, continuation } = prompts.prompt(i);
      const whole = Int32Array.of(...prompt, ...continuation!);
      expect(whole).toEqual(ids.slice(prompt[0], prompt[0]! + 15));
      expect(prompt).toHaveLength(10);
    }
    const tooLong = () =>
      textPrompts(textSource('text', ids, 15), { seed: 'a', promptTokens: 99, continuationTokens: 2 }).prompt(0);
    expect(tooLong).toThrow(expect.objectContaining({ code: 'data.too_short' }));
  });

  it('of a file are conversations or plain text', () => {
    const lines = [
      { messages: [{ role: 'user', content: 'what is this' }] },
      {
        messages: [
          { role: 'user', content: 'what' },
          { role: 'assistant', content: 'this' },
        ],
      },
      { prompt: 'the answer', completion: ' is this' },
    ];
    const prompts = listedPrompts(TOKENIZER, lines.map((line) => JSON.stringify(line)).join('\n\n'), 'some.jsonl');
    expect(prompts.count).toBe(3);
    expect(decode(prompts.prompt(0).ids)).toBe('<|bos|><|user|>what is this<|end|><|assistant|>');
    expect(decode(prompts.prompt(1).continuation!)).toBe('this<|end|>');
    expect([prompts.prompt(2).ids, prompts.prompt(2).continuation!].map(decode)).toEqual(['the answer', ' is this']);
    expect(prompts.prompt(3)).toEqual(prompts.prompt(0));
    for (const bad of [
      '',
      '{',
      '{}',
      '[]',
      'null',
      '{"prompt": ""}',
      '{"messages": [{"role": "pirate", "content": ""}]}',
    ])
      expect(() => listedPrompts(TOKENIZER, bad, 'bad.jsonl')).toThrow(
        expect.objectContaining({ code: 'data.bad_jsonl' }),
      );
  });
});
