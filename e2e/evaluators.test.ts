/**
 * @file Four real `quasar evaluator run` processes on one queue, two of them killed in the middle: the round completes, the
 * cages of the dead die with them, and every number is what one evaluator in one process gives.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { identify, isAlive } from '@quasar/base';
import type { Wallet } from '@quasar/chain';
import type { Store } from '@quasar/store';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  childrenOf,
  findPostgres,
  startPostgres,
  type ThrowawayPostgres,
} from '../packages/store/src/queue/testing/postgres.ts';
import { student, TEST_CONFIG, TestContest, waitUntil } from '../packages/subnet/src/testing/contest.ts';
import type { ValidatorOptions } from '../packages/subnet/src/validator/context.ts';
import { runValidator } from '../packages/subnet/src/validator/validator.ts';
import { QUASAR } from './support/paths.ts';

const config = { ...TEST_CONFIG, duel: { ...TEST_CONFIG.duel, prompts: 120, sequential: null } };
let test: TestContest;
let owner: Wallet;
let expected: unknown[];
const started: ChildProcess[] = [];

beforeAll(async () => {
  test = await TestContest.start();
  owner = await test.wallet('owner', 1000);
  for (const [name, share] of [['ann', 0.3] as const, ['bob', 0.6] as const])
    await test.submit(await test.wallet(name), `${name}/model`, student(share));
  const alone = test.store('alone');
  await judge(alone, { workDirectory: join(test.root, 'alone') });
  expected = numbersOf(alone);
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});
afterAll(() => test.stop());

/** One round, up to its verdict. */
async function judge(store: Store, options: Partial<ValidatorOptions>): Promise<void> {
  const stop = new AbortController();
  const running = runValidator({
    ...test.options('evaluators', owner, store, stop.signal),
    ...{ config, chain: test.replay(), ...options },
  });
  await Promise.race([
    running,
    waitUntil(store, ({ rounds }) => [...rounds.values()].some(({ verdict }) => verdict !== null), stop.signal),
  ]);
  stop.abort();
  await running;
}

function numbersOf(store: Store): unknown[] {
  const events = store.events({ types: ['evaluation.measured', 'evaluation.scored', 'duel.judged', 'round.judged'] });
  const numbers = events.map(({ type, data }) => ({ type, data: { ...(data as { id?: string }), atBlock: 0 } }));
  return numbers.sort((a, b) => (`${a.type}${a.data.id}` < `${b.type}${b.data.id}` ? -1 : 1));
}

interface Evaluator {
  child: ChildProcess;
  /** Lines about finished units. */
  units(): string[];
}

function evaluator(name: string, store: string): Evaluator {
  const where = ['--store', store, '--hub', test.hubUrl, '--home', join(test.root, name), '--name', name];
  const models = ['--base', join(test.root, 'base'), '--teacher', join(test.root, 'teacher'), '--threads', '1'];
  const child = spawn(process.execPath, [QUASAR, 'evaluator', 'run', ...where, ...models], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  started.push(child);
  let text = '';
  child.stderr!.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  return { child, units: () => text.split('\n').filter((line) => / of \S+ from row /.test(line)) };
}

async function until(what: () => boolean, limitMs = 60_000): Promise<void> {
  for (const deadlineMs = Date.now() + limitMs; !what(); ) {
    expect(Date.now()).toBeLessThan(deadlineMs);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function fourOfWhichTwoDie(address: string, name: string): Promise<void> {
  const four = ['a', 'b', 'c', 'd'].map((letter) => evaluator(`${name}-${letter}`, address));
  const store = test.store(name);
  const judged = judge(store, { workDirectory: join(test.root, name), queueUrl: address, evaluators: 0 });
  const victims = four.slice(0, 2);
  await until(() => victims.every(({ units }) => units().length > 0));
  const cages = victims.flatMap(({ child }) => childrenOf(child.pid)).map(identify);
  for (const { child } of victims) child.kill('SIGKILL');
  await judged;
  expect(numbersOf(store)).toEqual(expected);
  if (process.platform === 'linux') {
    expect(cages.length).toBeGreaterThan(0);
    await until(() => !cages.some(isAlive));
  }
  const survivors = four.slice(2);
  for (const { child } of survivors) child.kill('SIGINT');
  await until(() => survivors.every(({ child }) => child.exitCode !== null));
  expect(survivors.map(({ child }) => child.exitCode)).toEqual([130, 130]);
}

describe('four evaluators of which two are killed', () => {
  it('on one SQLite file', () => fourOfWhichTwoDie(join(test.root, 'shared.sqlite'), 'sqlite'));

  describe.skipIf(findPostgres() === null && !process.env.CI)('on Postgres', () => {
    let server: ThrowawayPostgres;
    beforeAll(async () => {
      server = await startPostgres();
    });
    afterAll(() => server.stop());

    it('give the same bits', () => fourOfWhichTwoDie(server.url, 'postgres'));
  });
});
