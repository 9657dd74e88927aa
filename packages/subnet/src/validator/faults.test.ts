/** @file What goes wrong around a validator, and that it costs nobody a crown. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { Wallet } from '@quasar/chain';
import type { Store } from '@quasar/store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Compute, type UnitInput, type UnitRunner } from '../evaluation/compute.ts';
import { type Contest, rebuildContest } from '../projection.ts';
import { BASE, overlay, student, TEST_CONFIG, TestContest, waitUntil } from '../testing/contest.ts';
import type { ValidatorOptions } from './context.ts';
import { runValidator } from './validator.ts';

let test: TestContest;
let owner: Wallet;
let ann: Wallet;
let bob: Wallet;

beforeAll(async () => {
  test = await TestContest.start();
  owner = await test.wallet('owner', 1000);
  ann = await test.wallet('ann');
  bob = await test.wallet('bob');
});

afterAll(() => test.stop());

async function run(store: Store, change: Partial<ValidatorOptions>, done: (c: Contest) => boolean): Promise<Contest> {
  const stop = new AbortController();
  const running = runValidator({ ...test.options('faults', owner, store, stop.signal), ...change });
  await Promise.race([running, waitUntil(store, done, stop.signal)]);
  stop.abort();
  await running;
  return rebuildContest(store.events());
}

/** Computes, unless `check` throws. */
function failing(check: (input: UnitInput) => void): UnitRunner {
  const compute = new Compute({ threads: 1 });
  return {
    async run(input, options) {
      check(input);
      return compute.run(input, options);
    },
    close: () => compute.close(),
  };
}

const lastOutcome = (contest: Contest) => [...contest.rounds.values()].at(-1)?.outcome;
const statusOf = (contest: Contest, repo: string) =>
  [...contest.submissions.values()].find((one) => one.repo === repo)?.status;

describe('faults', () => {
  let store: Store;

  it('a teacher that cannot be loaded: no verdict, everybody stays in the contest', async () => {
    store = test.store('faults');
    await test.submit(ann, 'ann/model', student(0.5));
    const openRunner = () =>
      failing(({ directories: [directory] }) => {
        if (directory!.endsWith('teacher')) throw new QuasarError('checkpoint.invalid', 'the teacher is broken');
      });
    const contest = await run(store, { openRunner }, (c) => lastOutcome(c) !== undefined && !c.openRound);
    expect(lastOutcome(contest)).toBe('no_verdict');
    expect(statusOf(contest, 'ann/model')).toBe('pending');
    expect(contest.king).toBeNull();
    expect(contest.weights?.weights).toEqual([{ uid: 0, weight: 1 }]);
  });

  it('a model that fails twice is EVAL_ERROR with the reason; the other one is judged', async () => {
    await test.submit(bob, 'bob/model', student(0.6));
    let failures = 0;
    const openRunner = () =>
      failing(({ unit, directories: [directory] }) => {
        if (unit.kind === 'kl' && directory!.includes('ann') && ++failures)
          throw new QuasarError('checkpoint.odd', 'cannot load this', { hint: 'look again' });
      });
    const contest = await run(store, { openRunner }, (c) => c.king !== null && !c.openRound);
    expect(failures).toBe(2);
    expect(statusOf(contest, 'ann/model')).toBe('EVAL_ERROR');
    const [submission] = [...contest.submissions.values()].filter(({ repo }) => repo === 'ann/model');
    expect(submission!.issues).toEqual([{ code: 'checkpoint.odd', message: 'cannot load this', hint: 'look again' }]);
    expect(contest.king?.repo).toBe('bob/model');
  });

  it('a chain that is away for a while, and one that says too soon, move nothing and lose nothing', async () => {
    await test.submit(ann, 'ann/better', student(0.9));
    let calls = 0;
    let refusals = 0;
    const moody = overlay(test.chain, {
      commitments: (netuid, atBlock) => {
        if (++calls === 3) throw new QuasarError('chain.unreachable', 'no answer', { retry: 'later' });
        return test.chain.commitments(netuid, atBlock);
      },
      setWeights: async (wallet, netuid, weights) => {
        const { number } = await test.chain.head();
        if (++refusals <= 2)
          throw new QuasarError('chain.too_soon', 'wait', { retry: 'later', data: { retryAtBlock: number + 4 } });
        return test.chain.setWeights(wallet, netuid, weights);
      },
    });
    const contest = await run(
      store,
      { chain: moody },
      (c) => c.king?.repo === 'ann/better' && refusals > 2 && !c.openRound,
    );
    expect(contest.weights!.weights[0]!.uid).toBe(contest.king!.uid);
    expect(statusOf(contest, 'bob/model')).toBe('dethroned');
    expect(store.events({ types: ['evaluation.failed'] })).toHaveLength(1); // of the test before
  });

  it('a validator with an empty log takes over the king that the network pays', async () => {
    const newcomer = await test.wallet('newcomer', 10);
    const fresh = test.store('fresh');
    // Into a later round than the one that crowned ann: the newcomer would otherwise judge that one itself.
    for (let look = 0; look < TEST_CONFIG.round.blocks; look++) await test.chain.head();
    const contest = await test.validate(
      'newcomer',
      newcomer,
      fresh,
      (c) => c.king?.repo === 'ann/better' && c.weights?.weights[0]?.uid === c.king.uid,
    );
    expect(contest.king).toMatchObject({ repo: 'ann/better', source: 'chain' });
    expect(contest.weights!.weights[0]).toEqual({ uid: contest.king!.uid, weight: 0.9 });
    expect(fresh.events({ types: ['duel.judged'] })).toEqual([]);
  });

  it('an unregistered hotkey and a foreign tokenizer are told at once', async () => {
    const stranger = { ...owner, hotkey: ann.hotkey.replace(/.$/, 'x') };
    const signal = AbortSignal.timeout(20_000);
    const options = test.options('faults', stranger, test.store('stranger'), signal);
    await expect(runValidator(options)).rejects.toMatchObject({ code: 'validator.not_registered' });
    const teacherDirectory = test.checkpoint(BASE);
    writeFileSync(join(teacherDirectory, 'tokenizer.json'), '{}');
    await expect(runValidator({ ...options, teacherDirectory })).rejects.toMatchObject({ code: 'subnet.bad_teacher' });
  });
});
