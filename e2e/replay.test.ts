/** @file `quasar duel replay` of a round that a running net has judged: the same bits by any road, and whatever was changed is named. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type StoredEvent } from '@quasar/store';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { DuelJudged, Replay } from '../packages/subnet/src/index.ts';
import { netWithKing, stopNet } from './support/net.ts';
import { quasar } from './support/run.ts';

const LIMIT_MS = 900_000;
const home = inject('sharedHome');
let duel: DuelJudged & { duel: string };
/** A home with the log and the evidence alone. */
let copy: string;

beforeAll(async () => {
  copy = mkdtempSync(join(tmpdir(), 'quasar-replay-'));
  await netWithKing(home);
  const { stdout } = await quasar('duel', 'list', '--home', home, '--json');
  duel = JSON.parse(stdout).duels[0];
  cpSync(join(home, 'validator/evidence'), join(copy, 'validator/evidence'), { recursive: true });
  writeLog(readLog());
}, LIMIT_MS);
afterAll(() => rmSync(copy, { recursive: true, force: true }));

function readLog(): StoredEvent[] {
  const store = openStore({ path: join(home, 'validator/contest.sqlite') });
  try {
    return store.events();
  } finally {
    store.close();
  }
}

/** The log of the copy, from its beginning. */
function writeLog(events: readonly StoredEvent[]): void {
  const path = join(copy, 'validator/contest.sqlite');
  for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
  mkdirSync(join(copy, 'validator'), { recursive: true });
  const store = openStore({ path });
  store.appendAll(events.map(({ type, data, key }) => ({ type, data, ...(key !== null && { key }) })));
  store.close();
}

async function replay(where: string, ...flags: string[]): Promise<{ code: number | null; report: Replay }> {
  const { code, stdout, stderr } = await quasar('duel', 'replay', duel.duel, '--home', where, '--json', ...flags);
  if (stdout === '') throw new Error(stderr);
  return { code, report: JSON.parse(stdout.trim().split('\n').at(-1) as string) };
}

const checksOf = ({ checks }: Replay) => new Map(checks.map((check) => [check.what, check]));

it('gives the same bits on one and on two threads, with the seed of the chain', { timeout: LIMIT_MS }, async () => {
  const [one, two] = [await replay(home, '--threads', '1'), await replay(home, '--threads', '2')];
  expect(one).toMatchObject({ code: 0, report: { same: true, computed: true, duel: { win: duel.win } } });
  expect(two).toEqual(one);
  const checks = checksOf(one.report);
  expect(checks.get('seed')?.compared).toBe(1);
  const made = ['asked', 'bytes', 'traces', 'kl', 'answers', 'likelihood', 'rollouts', 'measured', 'duels'] as const;
  for (const what of made) expect(checks.get(what)?.compared, what).toBeGreaterThan(0);
});

it('needs no running net, and no model when the stored results do', { timeout: LIMIT_MS }, async () => {
  await stopNet(home, 'SIGINT');
  expect(await replay(home)).toMatchObject({ code: 0, report: { same: true, computed: true } });
  expect(await replay(copy, '--stored')).toMatchObject({ code: 0, report: { same: true, computed: false } });
  // Here are no caches, and nobody is at the address.
  const { code, stderr } = await quasar('duel', 'replay', duel.duel, '--home', copy, '--hub', 'http://127.0.0.1:9');
  expect(code).toBe(1);
  expect(stderr).toMatch(new RegExp(`${duel.repo}.* --hub.* --stored.*\\[evidence\\.no_model\\]`));
});

it('names a unit of the evidence that was changed', async () => {
  const units = join(copy, 'validator/evidence', String(duel.round), 'units/kl/base');
  const path = join(units, readdirSync(units)[0]!);
  const text = readFileSync(path, 'utf8');
  const unit = JSON.parse(text);
  unit.result.perPrompt[3] *= 0.9;
  writeFileSync(path, JSON.stringify(unit));
  const { code, report } = await replay(copy, '--stored');
  writeFileSync(path, text);
  expect(code).toBe(3);
  const [bytes] = checksOf(report).get('bytes')?.differences ?? [];
  expect(bytes).toMatchObject({
    where: expect.stringMatching(/units\/kl\/base\/\d+\.json: \[3\]$/),
    expected: String(unit.result.perPrompt[3]),
  });
  expect(checksOf(report).get('measured')?.differences[0]?.where).toMatch(/:base:kl\.perPrompt\[\d+\]$/);
});

it('names an event of the log that was changed', async () => {
  const log = readLog().map((event) => {
    const { round, id, crownGate } = event.data as DuelJudged;
    const isIts = event.type === 'duel.judged' && round === duel.round && id === duel.id;
    return isIts ? { ...event, data: { ...duel, duel: undefined, crownGate: { ...crownGate, passed: false } } } : event;
  });
  writeLog(log);
  const { code, report } = await replay(copy, '--stored');
  expect(code).toBe(3);
  const found = report.checks.flatMap(({ differences }) => differences);
  expect(found).toEqual([
    { where: `event duel.judged ${duel.round}:${duel.id}.crownGate.passed`, got: 'true', expected: 'false' },
  ]);
  const { stdout } = await quasar('duel', 'replay', duel.duel, '--home', copy, '--stored', '--quiet');
  expect(stdout).toContain('.crownGate.passed: now true, in the log false');
});
