import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
import { type ReplayOptions, replayDuel } from './replay.ts';

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

async function replay(change: Partial<ReplayOptions> = {}, threads = 1) {
  const { round, id } = duels()[0]!.data;
  const [baseDirectory, teacherDirectory] = [join(test.root, 'base'), join(test.root, 'teacher')];
  const models = new ModelStore({ hub: test.hub, baseDirectory, teacherDirectory });
  const runner = new Compute({ threads });
  try {
    return await replayDuel({
      ...{ log: store.events(), evidence, round, id, signal, models: { store: models, runner } },
      ...change,
    });
  } finally {
    await runner.close();
  }
}

describe('a judged duel', () => {
  it.each([1, 2])('gives the same bits again on %i threads', async (threads) => {
    const again = await replay({}, threads);
    expect(again.checks.flatMap(({ differences }) => differences)).toEqual([]);
    expect(again.same).toBe(true);
    const compared = again.checks.map(({ what, name }) => `${what} ${name}`);
    expect(compared).toContain('verdict null');
    expect(compared).toContain('traces teacher');
    expect(compared).toContain(`kl ${again.id}`);
    expect(compared).toContain('kl base');
    expect(compared).toContain(`answers ${again.id}`);
    expect(compared).toContain(`rollouts ${again.id}`);
  });

  it('gives the same bits from the teacher when the blobs of an old round are gone', async () => {
    const [round] = readdirSync(folder).filter((name) => /^\d+$/.test(name));
    const copy = mkdtempSync(join(tmpdir(), 'evidence-'));
    cpSync(folder, copy, { recursive: true });
    rmSync(join(copy, round!, 'blobs'), { recursive: true });
    expect((await replay({ evidence: new EvidenceFolder(copy) })).same).toBe(true);
    rmSync(copy, { recursive: true });
  });

  it('shows a log that was changed afterwards', async () => {
    const { id } = duels()[0]!.data;
    const log = store.events().map((event) => {
      const data = event.data as { id?: string; win?: boolean };
      return event.type === 'duel.judged' && data.id === id ? { ...event, data: { ...data, win: !data.win } } : event;
    });
    const again = await replay({ log, models: null });
    expect(again.same).toBe(false);
    expect(again.checks[0]?.differences.join()).toMatch(/duel\.judged .*: win is (true|false) now/);
  });

  it('shows a KL in the log that no model gave', async () => {
    const { id } = duels()[0]!.data;
    const log = store.events().map((event) => {
      const data = event.data as { id?: string; part?: string; perPrompt?: number[] };
      if (event.type !== 'evaluation.measured' || data.id !== id || data.part !== 'kl') return event;
      return { ...event, data: { ...data, perPrompt: data.perPrompt!.map((value) => value * (1 - 2 ** -50)) } };
    });
    const again = await replay({ log });
    const kl = again.checks.find(({ what, name }) => what === 'kl' && name === id);
    expect(kl?.differences).toHaveLength(1);
    expect(again.same).toBe(false);
  });

  it('exports tables whose numbers are the verdict', async () => {
    const { round, id } = duels()[0]!.data;
    const out = join(test.root, 'export');
    const tokenizer = Tokenizer.load(join(test.root, 'base', 'tokenizer.json'));
    const done = await exportDuel({ log: store.events(), evidence, tokenizer, round, id, folder: out });
    const { duel } = JSON.parse(readFileSync(join(out, 'duel.json'), 'utf8')) as { duel: DuelJudged };
    const prompts = await rowsOf<{ prompt: number; delta: number; challenger_kl: number }>(
      join(out, 'prompts.parquet'),
    );
    const tokens = await rowsOf<{ prompt: number; challenger_kl: number; token: number }>(join(out, 'tokens.parquet'));
    expect(prompts).toHaveLength(done.prompts);
    expect(tokens).toHaveLength(done.tokens);
    expect(prompts.slice(0, duel.n).reduce((sum, { delta }) => sum + delta, 0) / duel.n).toBeCloseTo(
      duel.meanDelta,
      12,
    );
    for (const { prompt, challenger_kl } of prompts) {
      const own = tokens.filter((row) => row.prompt === prompt).map((row) => row.challenger_kl);
      expect(own.reduce((sum, value) => sum + value, 0) / own.length).toBeCloseTo(challenger_kl, 12);
    }
  });

  it('refuses damaged evidence and duels that never were', async () => {
    const rules = join(folder, 'rules', `${configHash(TEST_CONFIG)}.json`);
    const text = readFileSync(rules, 'utf8');
    writeFileSync(rules, text.replace('"alpha":0.03', '"alpha":0.5'));
    await expect(replay({ models: null })).rejects.toMatchObject({ code: 'evidence.damaged' });
    writeFileSync(rules, text);
    await expect(replay({ round: 99 })).rejects.toMatchObject({ code: 'duel.unknown' });
    await expect(replay({ id: 'nobody:1' })).rejects.toMatchObject({ code: 'duel.unknown' });
    expect(() => evidence.rules(configHash(LOCAL))).toThrowError(expect.objectContaining({ code: 'evidence.missing' }));
  });
});

async function rowsOf<Row>(path: string): Promise<Row[]> {
  return (await parquetReadObjects({ file: await asyncBufferFromFile(path) })) as Row[];
}
