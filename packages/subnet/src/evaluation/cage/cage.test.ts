/** @file The cage: real processes that try to get out, grow, hang and die; and the real child, which gives the bits of this process. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { identify, isAlive, networkIsolation, permissionFlags, Rng } from '@quasar/base';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MICRO, microWeights, writeCheckpoint } from '../../testing/checkpoints.ts';
import { Compute } from '../compute.ts';
import { decodeTraces, encodeTraces } from '../trace-blob.ts';
import { readResult, type Unit } from '../units.ts';
import { Cage, type CageOptions } from './cage.ts';

const root = fileURLToPath(new URL('../../../../..', import.meta.url));
const hostile = join(root, 'packages/subnet/dist/testing/hostile-child.js');
const directory = mkdtempSync(join(tmpdir(), 'quasar-cage-'));
const [student, teacher] = [join(directory, 'student'), join(directory, 'teacher')];
const cages: Cage[] = [];

beforeAll(() => {
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', join(root, 'packages/subnet')]);
  writeCheckpoint(student, microWeights('student'));
  writeCheckpoint(teacher, microWeights('teacher', 6));
}, 120_000);
afterEach(async () => {
  await Promise.all(cages.splice(0).map((cage) => cage.close()));
});
afterAll(() => rmSync(directory, { recursive: true }));

function open(options: CageOptions = {}): Cage {
  const cage = new Cage(options);
  cages.push(cage);
  return cage;
}

const zeros = (length: number) => '0'.repeat(length);
const rng = new Rng('prompts');
const prompts = Array.from({ length: 10 }, (_, i) =>
  Int32Array.from({ length: 5 + 3 * i }, () => rng.int(0, MICRO.vocab_size - 1)),
);
const model = { from: 'base', sha256: zeros(64) } as const;
const sampling = { temperature: 0.7, topP: 0.9, topK: 8 };
const TRACES: Unit = {
  ...{ kind: 'traces', version: 1, model, from: 0, prompts },
  ...{ seed: 'block', continuationTokens: 6, ...sampling },
};

describe('a real unit', () => {
  it('gives the bits of this process, on one thread and on two, from engines that stay loaded', async () => {
    const here = new Compute({ threads: 1 });
    const made = await here.run({ unit: TRACES, directories: [teacher], blobs: [] });
    const blob = made.blob!.bytes;
    expect(decodeTraces(blob).map(({ prompt }) => prompt)).toEqual(prompts);
    expect(Buffer.from(encodeTraces(decodeTraces(blob))).equals(blob)).toBe(true);
    const kl: Unit = { kind: 'kl', version: 1, model, traces: zeros(64), rows: 10, tokens: 200 };
    const answers: Unit = { kind: 'answers', version: 1, model, prompts, maxNewTokens: 6 };
    const rollouts: Unit = {
      ...{ kind: 'rollouts', version: 1, model, teacher: model, from: 0, prompts },
      ...{ seed: 'block', maxNewTokens: 6, ...sampling },
    };
    const inputs = [
      { unit: TRACES, directories: [teacher], blobs: [] },
      { unit: kl, directories: [student], blobs: [blob] },
      { unit: answers, directories: [student], blobs: [] },
      { unit: rollouts, directories: [student, teacher], blobs: [] },
    ];
    const expected = [];
    for (const input of inputs) expected.push(await here.run(input));
    await here.close();
    const perPrompt = readResult('kl', { ...expected[1]!.result, perToken: zeros(64) })!.perPrompt;
    expect(perPrompt).toHaveLength(10);
    expect(Math.min(...perPrompt)).toBeGreaterThan(0);
    expect(readResult('answers', expected[2]!.result)!.replies).toHaveLength(10);
    expect(readResult('rollouts', expected[3]!.result)!.perPrompt.filter((rkl) => rkl !== null).length).toBeGreaterThan(
      5,
    );
    for (const threads of [1, 2]) {
      const cage = open({ threads });
      const rows: number[] = [];
      const results = [];
      for (const input of inputs) results.push(await cage.run(input, { onProgress: (done) => rows.push(done) }));
      expect(results.map(({ result }) => result)).toEqual(expected.map(({ result }) => result));
      for (const [i, { blob: bytes }] of results.entries())
        expect(Buffer.from(bytes?.bytes ?? '').equals(expected[i]!.blob?.bytes ?? Buffer.from(''))).toBe(true);
      expect(rows).toEqual([8, 10, 8, 10, 10, 10]);
    }
  });

  it('what is wrong with a model is told by its own code, and the process goes on', async () => {
    const cage = open();
    const broken = join(directory, 'broken');
    writeCheckpoint(broken, microWeights('student'));
    writeFileSync(join(broken, 'model.safetensors'), 'no tensors');
    const answers: Unit = { kind: 'answers', version: 1, model, prompts, maxNewTokens: 2 };
    const failing = cage.run({ unit: answers, directories: [broken], blobs: [] });
    await expect(failing).rejects.toMatchObject({ code: expect.stringMatching(/^checkpoint\./), retry: 'never' });
    const { pid } = cage;
    await cage.run({ unit: answers, directories: [student], blobs: [] });
    expect(cage.pid).toBe(pid);
  });
});

/** One attempt of the hostile child. */
async function attempt(what: string, options: CageOptions = {}, cage = open({ program: hostile, ...options })) {
  const from = { from: 'hub', repo: what, revision: zeros(40), manifestSha256: zeros(64) } as const;
  const unit: Unit = { kind: 'answers', version: 1, model: from, prompts, maxNewTokens: 1 };
  return (await cage.run({ unit, directories: [student], blobs: [] })).result.outcome;
}

describe('what a cage does not let out', () => {
  it.skipIf(!networkIsolation().isIsolated)('no network: not even a server on this machine', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    expect(await attempt(`dial/${port}`)).not.toBe('reached');
    server.close();
  });

  it.skipIf(permissionFlags().length === 0)('no file is written, no process started', async () => {
    const before = readFileSync(join(student, 'model.safetensors'));
    expect(await attempt('write/weights')).toBe('ERR_ACCESS_DENIED');
    expect(await attempt('spawn/true')).toBe('ERR_ACCESS_DENIED');
    expect(readFileSync(join(student, 'model.safetensors')).equals(before)).toBe(true);
  });

  it('the environment stays outside', async () => {
    process.env.QUASAR_TEST_SECRET = 'hf_secret';
    expect(await attempt('environment/all')).not.toContain('QUASAR_TEST_SECRET');
    delete process.env.QUASAR_TEST_SECRET;
  });
});

describe('a child that misbehaves ends, and the next unit gets a fresh one', () => {
  it.each([
    ['memory/bomb', 'evaluation.memory', { memoryBytes: 400e6 }],
    ['heap/bomb', 'evaluation.memory', {}],
    ['loop/endless', 'evaluation.timeout', { timeoutMs: 400 }],
    ['silence/endless', 'evaluation.timeout', { timeoutMs: 400 }],
    ['abort/now', 'evaluation.crashed', {}],
    ['exit/now', 'evaluation.crashed', {}],
    ['nonsense/now', 'evaluation.bad_answer', {}],
  ])('%s: %s', async (what, code, options) => {
    const cage = open({ program: hostile, ...options });
    await attempt('none/warm', {}, cage);
    const identity = identify(cage.pid!);
    await expect(attempt(what, {}, cage)).rejects.toMatchObject({ code, retry: 'never' });
    expect(cage.pid).toBeNull();
    for (let tries = 0; tries < 500 && isAlive(identity); tries++) await sleep(10);
    expect(isAlive(identity)).toBe(false);
    expect(await attempt('none/again', {}, cage)).toBe('nothing');
  });

  it('a caller that gives up ends it at once, and is told to come again', async () => {
    const cage = open({ program: hostile });
    const stop = new AbortController();
    const from = { from: 'hub', repo: 'loop/endless', revision: zeros(40), manifestSha256: zeros(64) } as const;
    const unit: Unit = { kind: 'answers', version: 1, model: from, prompts, maxNewTokens: 1 };
    const running = cage.run({ unit, directories: [student], blobs: [] }, { signal: stop.signal });
    setTimeout(() => stop.abort(), 200);
    await expect(running).rejects.toMatchObject({ code: 'evaluation.cancelled', retry: 'later' });
  });

  it('a program that does not start says nothing about a model', async () => {
    await expect(attempt('none/at all', { program: join(directory, 'absent.js') })).rejects.toMatchObject({
      ...{ code: 'evaluation.cage_unavailable', retry: 'later' },
    });
  });
});
