import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createHubClient, serveHub } from '@quasar/hub';
import { Tokenizer } from '@quasar/model';
import type { Store, StoredEvent } from '@quasar/store';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Compute } from '../evaluation/compute.ts';
import { ModelStore } from '../evaluation/model-store.ts';
import type { DuelJudged } from '../events.ts';
import { configHash, LOCAL } from '../rules/config.ts';
import { student, TEST_CONFIG, TestContest } from '../testing/contest.ts';
import { EvidenceFolder } from './evidence-folder.ts';
import { exportDuel } from './export.ts';
import { PastModels } from './past-models.ts';
import { type Replay, type ReplayOptions, replayDuel } from './replay.ts';

let test: TestContest;
let store: Store;
let evidence: EvidenceFolder;
let folder: string;
const signal = new AbortController().signal;

beforeAll(async () => {
  test = await TestContest.start();
  const owner = await test.wallet('owner', 1000);
  const [ann, bob] = [await test.wallet('ann'), await test.wallet('bob')];
  store = test.store('owner');
  await test.submit(ann, 'ann/model', student(0.3));
  await test.submit(bob, 'bob/model', student(0.6));
  await test.validate('owner', owner, store, (contest) =>
    [...contest.rounds.values()].some(({ finishedAtMs }) => finishedAtMs !== null),
  );
  folder = join(test.root, 'work-owner', 'evidence');
  evidence = new EvidenceFolder(folder);
}, 60_000);

afterAll(async () => {
  await test.stop();
});

const duels = () =>
  store.events().filter(({ type }) => type === 'duel.judged') as StoredEvent<{ round: number; id: string }>[];

const blockHash = (block: number) => test.chain.blockHash(block);
const filesOf = (kind: string, name: string) => {
  const { round } = duels()[0]!.data;
  const units = join(folder, String(round), 'units', kind, encodeURIComponent(name));
  return readdirSync(units).map((file) => join(units, file));
};

async function replay(change: Partial<ReplayOptions> = {}, threads = 1) {
  const { round, id } = duels()[0]!.data;
  const [baseDirectory, teacherDirectory] = [join(test.root, 'base'), join(test.root, 'teacher')];
  const models = new ModelStore({ hub: test.hub, baseDirectory, teacherDirectory });
  const runner = new Compute({ threads });
  const tokenizer = Tokenizer.load(join(baseDirectory, 'tokenizer.json'));
  try {
    return await replayDuel({
      ...{ log: store.events(), evidence, tokenizer, blockHash, round, id, signal, again: { models, runner } },
      ...change,
    });
  } finally {
    await runner.close();
  }
}

const stored = (change: Partial<ReplayOptions> = {}) => replay({ again: null, ...change });

/** The log with the data of some events replaced. */
function changedLog(type: string, change: (data: Record<string, unknown>) => object | null) {
  return store.events().map((event) => {
    const data = event.type === type ? change(event.data as Record<string, unknown>) : null;
    return data ? { ...event, data: { ...(event.data as object), ...data } } : event;
  });
}

/** What was found, by the checks that found it. */
const found = ({ checks }: Replay) =>
  Object.fromEntries(
    checks
      .filter(({ differences }) => differences.length > 0)
      .map(({ what, differences }) => [what, differences.map(({ where }) => where)]),
  );

/** Run with a file of the evidence changed, and put it back. */
async function withFile<T>(path: string, change: (text: string) => string, step: () => Promise<T>): Promise<T> {
  const text = readFileSync(path, 'latin1');
  writeFileSync(path, change(text), 'latin1');
  try {
    return await step();
  } finally {
    writeFileSync(path, text, 'latin1');
  }
}

describe('a judged duel', () => {
  it.each([1, 2])('gives the same bits again on %i threads', async (threads) => {
    const again = await replay({}, threads);
    expect(found(again)).toEqual({});
    expect(again.same).toBe(true);
    const counts = Object.fromEntries(again.checks.map(({ what, compared }) => [what, compared]));
    // Teacher, base and challenger; the other challenger's units are taken as kept.
    expect(counts).toMatchObject({ seed: 1, traces: 1, kl: 2, answers: 3, rollouts: 2, measured: 7, crown: 1 });
    expect(counts.asked).toBeGreaterThan(counts.traces! + counts.kl! + counts.answers! + counts.rollouts!);
  });

  it('gives the same bits from what is stored', async () => {
    const again = await stored();
    expect(found(again)).toEqual({});
    const checks = ['seed', 'asked', 'bytes', 'measured', 'scores', 'duels', 'crown'];
    expect(again.checks.map(({ what }) => what)).toEqual(checks);
    expect(again.checks.every(({ compared }) => compared > 0)).toBe(true);
  });

  it('gives the same bits from the teacher when the blobs of an old round are gone', async () => {
    const [round] = readdirSync(folder).filter((name) => /^\d+$/.test(name));
    const copy = mkdtempSync(join(tmpdir(), 'evidence-'));
    cpSync(folder, copy, { recursive: true });
    rmSync(join(copy, round!, 'blobs'), { recursive: true });
    const again = await replay({ evidence: new EvidenceFolder(copy) });
    expect(again.same).toBe(true);
    expect(again.checks.find(({ what }) => what === 'bytes')?.compared).toBe(0);
    rmSync(copy, { recursive: true });
  });

  it('needs no hub for models that a cache holds, and says what it needs otherwise', async () => {
    const empty = await serveHub({ directory: join(test.root, 'empty-hub'), port: 0 });
    const hub = createHubClient({ url: empty.url, cacheDirectory: join(test.root, 'cache-away') });
    const directories = { baseDirectory: join(test.root, 'base'), teacherDirectory: join(test.root, 'teacher') };
    const models = new ModelStore({ hub, ...directories });
    const runner = new Compute({ threads: 1 });
    const from = (caches: string[]) => ({ again: { models: new PastModels({ caches, store: models }), runner } });
    try {
      expect((await replay(from([join(test.root, 'nothing'), join(test.root, 'cache')]))).same).toBe(true);
      await expect(replay(from([join(test.root, 'nothing')]))).rejects.toMatchObject({
        code: 'evidence.no_model',
        message: expect.stringMatching(/(ann|bob)\/model@/),
        hint: expect.stringContaining('--stored'),
      });
    } finally {
      await empty.close();
      await runner.close();
    }
  });
});

describe('what was changed afterwards is named:', () => {
  it('a verdict in the log', async () => {
    const { id, round } = duels()[0]!.data;
    const log = changedLog('duel.judged', (data) => (data.id === id ? { win: !data.win } : null));
    expect(found(await stored({ log }))).toEqual({ duels: [`event duel.judged ${round}:${id}.win`] });
  });

  it('a KL in the log', async () => {
    const { id, round } = duels()[0]!.data;
    const log = changedLog('evaluation.measured', ({ id: whose, part, perPrompt }) =>
      whose === id && part === 'kl'
        ? { perPrompt: (perPrompt as number[]).map((value, i) => (i === 5 ? value * (1 - 2 ** -50) : value)) }
        : null,
    );
    const again = await stored({ log });
    expect(found(again)).toEqual({ measured: [`event evaluation.measured ${round}:${id}:kl.perPrompt[5]`] });
    const [difference] = again.checks.flatMap(({ differences }) => differences);
    expect(difference?.got).not.toBe(difference?.expected);
  });

  it('an axis in the log', async () => {
    const { id, round } = duels()[0]!.data;
    const log = changedLog('evaluation.measured', ({ id: whose, part }) =>
      whose === id && part === 'axes' ? { rkl: 1 } : null,
    );
    expect(found(await stored({ log }))).toEqual({ measured: [`event evaluation.measured ${round}:${id}:axes.rkl`] });
  });

  it('a seed that is not the hash of its block', async () => {
    const log = changedLog('round.started', () => ({ seedHash: `0x${'7'.repeat(64)}` }));
    const names = found(await stored({ log }));
    expect(names.seed).toHaveLength(1);
    expect(names.asked?.[0]).toMatch(/units\/traces\/teacher\/0\.json: payload\./);
  });

  it('a question', async () => {
    const [path] = filesOf('rollouts', 'base');
    const again = await withFile(path!, (text) => text.replace(/"prompts":\["..../, '"prompts":["AQAA'), stored);
    expect(found(again)).toEqual({ asked: [expect.stringMatching(/rollouts\/base\/0\.json: payload\.prompts\[0\]/)] });
  });

  it('a result, by the verdict that rests on it and by the model', async () => {
    const { id } = duels()[0]!.data;
    const [path] = filesOf('rollouts', id);
    const swap = (text: string) => text.replace(/"perPrompt":\[([^,]+),/, '"perPrompt":[3.25,');
    const names = await withFile(path!, swap, async () => [found(await stored()), found(await replay())]);
    expect(Object.keys(names[0]!)).toEqual(expect.arrayContaining(['measured', 'scores']));
    expect(names[1]).toEqual({ rollouts: [expect.stringMatching(/0\.json: result\.perPrompt\[0\]/)] });
  });

  it('a stored byte', async () => {
    const { round } = duels()[0]!.data;
    const blobs = join(folder, String(round), 'blobs');
    for (const name of readdirSync(blobs)) {
      const again = await withFile(join(blobs, name), (text) => `${text.slice(0, -1)}~`, stored);
      expect(found(again)).toEqual({ bytes: expect.arrayContaining([`${round}/blobs/${name}`]) });
    }
  });

  it('a file that is gone, rules that are others, and duels that never were', async () => {
    const [unit] = filesOf('kl', 'base');
    const copy = mkdtempSync(join(tmpdir(), 'evidence-'));
    cpSync(folder, copy, { recursive: true });
    rmSync(join(copy, relative(folder, unit!)));
    await expect(stored({ evidence: new EvidenceFolder(copy) })).rejects.toMatchObject({
      code: 'evidence.missing',
      message: expect.stringContaining('units/kl/base/0.json'),
    });
    rmSync(copy, { recursive: true });
    const rules = join(folder, 'rules', `${configHash(TEST_CONFIG)}.json`);
    await withFile(
      rules,
      (text) => text.replace('"alpha":0.03', '"alpha":0.5'),
      () => expect(stored()).rejects.toMatchObject({ code: 'evidence.damaged' }),
    );
    await withFile(
      rules,
      (text) => text.replace(/"rulesVersion":"[^"]+"/, '"rulesVersion":"0"'),
      () => expect(stored()).rejects.toMatchObject({ code: 'evidence.other_rules' }),
    );
    await expect(stored({ round: 99 })).rejects.toMatchObject({ code: 'duel.unknown' });
    await expect(stored({ id: 'nobody:1' })).rejects.toMatchObject({ code: 'duel.unknown' });
    expect(() => evidence.rules(configHash(LOCAL))).toThrowError(expect.objectContaining({ code: 'evidence.missing' }));
  });
});

describe('the export of a duel', () => {
  it('has numbers that are the verdict', async () => {
    const { round, id } = duels()[0]!.data;
    const out = join(test.root, 'export');
    const tokenizer = Tokenizer.load(join(test.root, 'base', 'tokenizer.json'));
    const done = await exportDuel({ log: store.events(), evidence, tokenizer, round, id, folder: out });
    const { duel } = JSON.parse(readFileSync(join(out, 'duel.json'), 'utf8')) as { duel: DuelJudged };
    const prompts = await rowsOf<PromptRow>(join(out, 'prompts.parquet'));
    const tokens = await rowsOf<{ prompt: number; challenger_kl: number; token: number }>(join(out, 'tokens.parquet'));
    expect(prompts).toHaveLength(done.prompts);
    expect(tokens).toHaveLength(done.tokens);
    expect(prompts.slice(0, duel.n).reduce((sum, { delta }) => sum + delta, 0) / duel.n).toBe(duel.meanDelta);
    expect(prompts.filter(({ counted }) => counted)).toHaveLength(duel.n);
    const [seed] = new Set(
      filesOf('traces', 'teacher').map((path) => JSON.parse(readFileSync(path, 'utf8')).payload.seed),
    );
    expect(prompts.map(({ sampling_seed }) => sampling_seed)).toEqual(prompts.map((_, i) => `${seed}/${i - (i % 8)}`));
    expect(prompts[0]!.prompt_text).toBe(tokenizer.decode(prompts[0]!.prompt_tokens, { specials: true }));
    for (const { prompt, challenger_kl } of prompts) {
      const own = tokens.filter((row) => row.prompt === prompt).map((row) => row.challenger_kl);
      expect(own.reduce((sum, value) => sum + value, 0) / own.length).toBe(challenger_kl);
    }
  });
});

interface PromptRow {
  prompt: number;
  counted: boolean;
  sampling_seed: string;
  prompt_text: string;
  prompt_tokens: number[];
  delta: number;
  challenger_kl: number;
}

async function rowsOf<Row>(path: string): Promise<Row[]> {
  return (await parquetReadObjects({ file: await asyncBufferFromFile(path) })) as Row[];
}
