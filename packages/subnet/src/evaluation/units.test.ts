/** @file What travels is checked on arrival: units, results, and teacher traces as bytes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeTraces, encodeTraces } from './trace-blob.ts';
import { packTokens, readResult, readUnit, type Unit, unitPayload, unitTokens, unpackTokens } from './units.ts';

const sha256 = 'ab'.repeat(32);
const model = { from: 'hub', repo: 'ann/model', revision: 'c'.repeat(40), manifestSha256: sha256 } as const;
const text = (B: number, T: number) => ({ B, T, tokens: new Int32Array(B * T).fill(9) });
const prompts = [Int32Array.of(1, 2, 3), Int32Array.of(4)];
const units: Unit[] = [
  {
    ...{ kind: 'traces', version: 1, model: { from: 'teacher', sha256 }, from: 24, prompts, seed: 's' },
    ...{ continuationTokens: 8, topK: 4, temperature: 0.7, topP: 0.9 },
  },
  { kind: 'kl', version: 1, model, traces: sha256, rows: 2, tokens: 20 },
  { kind: 'answers', version: 1, model, prompts, maxNewTokens: 8 },
  { kind: 'answers', version: 1, model, prompts, maxNewTokens: [4, 12] },
  {
    ...{ kind: 'likelihood', version: 1, model: { from: 'teacher', sha256 } },
    ...{ prompts: [new Int32Array(14), new Int32Array(6)], starts: [13, 1] },
  },
  {
    ...{ kind: 'rollouts', version: 1, model, teacher: { from: 'teacher', sha256 }, from: 0, prompts, seed: 's' },
    ...{ maxNewTokens: 8, topK: 4, temperature: 0.7, topP: 0.9 },
  },
  {
    ...{ kind: 'fingerprint', version: 1, model },
    probes: {
      ...{ short: text(1, 4), readouts: Int32Array.of(1, 2), public: text(2, 3), behaviour: text(2, 5) },
      positions: Int32Array.of(7),
    },
  },
];

describe('units', () => {
  it.each(units.map((unit) => [unit.kind, unit] as const))('%s survives its way through JSON', (kind, unit) => {
    const payload = JSON.parse(JSON.stringify(unitPayload(unit)));
    expect(readUnit(kind, payload)).toEqual(unit);
    expect(unitTokens(unit)).toBe(20);
    expect(readUnit(kind, { ...payload, extra: 1 })).toBeNull();
    expect(readUnit(kind, { ...payload, version: 2 })).toBeNull();
    expect(readUnit(kind, { ...payload, model: { ...payload.model, path: '/etc' } })).toBeNull();
    expect(readUnit('constructor', payload)).toBeNull();
  });

  it('a number per row, or none', () => {
    const answers = unitPayload(units[3]!);
    const likelihood = unitPayload(units[4]!);
    expect(readUnit('answers', { ...answers, maxNewTokens: [4] })).toBeNull();
    expect(readUnit('likelihood', { ...likelihood, starts: [13] })).toBeNull();
    expect(readUnit('likelihood', { ...likelihood, starts: [14, 1] })).toBeNull();
    expect(readResult('likelihood', { logprobs: [-1, null] })).toBeNull();
  });

  it('results that are no numbers are no results', () => {
    const kl = { perPrompt: [0.5], tokens: [4], perToken: sha256 };
    expect(readResult('kl', kl)).toEqual(kl);
    expect(readResult('kl', { ...kl, perPrompt: [null] })).toBeNull();
    expect(readResult('rollouts', { perPrompt: [0.5, null] })).toEqual({ perPrompt: [0.5, null] });
    expect(readResult('answers', { replies: [{ tokens: 'AAAA', finished: true }] })).toBeNull(); // three bytes
  });

  it('tokens are packed without loss', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })), (values) => {
        expect([...unpackTokens(packTokens(Int32Array.from(values)))]).toEqual(values);
      }),
    );
  });
});

describe('traces as bytes', () => {
  const trace = (P: number, C: number, k: number) => ({
    prompt: new Int32Array(P).fill(7),
    continuation: new Int32Array(C).fill(8),
    top: { k, ids: new Int32Array(C * k), logprobs: new Float32Array(C * k).fill(-0.5), tail: new Float32Array(C) },
  });
  const bytes = encodeTraces([trace(3, 2, 4), trace(1, 5, 4)]);

  it('come back as they were', () => {
    expect(decodeTraces(bytes)).toEqual([trace(3, 2, 4), trace(1, 5, 4)]);
  });

  it('cut or lengthened anywhere, or of any other content, are refused or read within their bounds', () => {
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeTraces(bytes.slice(0, length)), `${length}`).toThrow('not what they say');
    expect(() => decodeTraces(Buffer.concat([bytes, Buffer.alloc(4)]))).toThrow('not what they say');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => {
        expect(() => decodeTraces(junk)).toThrow('not what they say');
      }),
    );
  });
});
