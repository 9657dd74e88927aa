/** @file However a round is shared out, its numbers are the same: one evaluator or four, one thread or two, killed and gone on. */
import type { Wallet } from '@quasar/chain';
import type { Store } from '@quasar/store';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Contest } from '../projection.ts';
import { student, TEST_CONFIG, TestContest, waitUntil } from '../testing/contest.ts';
import type { ValidatorOptions } from '../validator/context.ts';
import { runValidator } from '../validator/validator.ts';
import { Compute } from './compute.ts';
import type { UnitReport } from './evaluator.ts';

/** Three units of every kind at least. */
const config = {
  ...TEST_CONFIG,
  duel: { ...TEST_CONFIG.duel, prompts: 60, sequential: null },
  axes: {
    ...TEST_CONFIG.axes,
    specs: TEST_CONFIG.axes.specs.map((spec) => ({
      ...spec,
      questions: spec.questions && { ...spec.questions, items: spec.name === 'judge_probe' ? 70 : 2 },
    })),
    onPolicy: { ...TEST_CONFIG.axes.onPolicy, prompts: 40 },
  },
};
let test: TestContest;
let owner: Wallet;

beforeAll(async () => {
  test = await TestContest.start();
  owner = await test.wallet('owner', 1000);
  for (const [name, share] of [['ann', 0.3] as const, ['bob', 0.6] as const])
    await test.submit(await test.wallet(name), `${name}/model`, student(share));
});
afterAll(() => test.stop());

async function run(
  store: Store,
  options: Partial<ValidatorOptions>,
  done: (contest: Contest) => boolean,
): Promise<void> {
  const stop = new AbortController();
  const chain = test.replay();
  const running = runValidator({ ...test.options('sharding', owner, store, stop.signal), config, chain, ...options });
  await Promise.race([running, waitUntil(store, done, stop.signal)]);
  stop.abort();
  await running;
}

const isJudged = (contest: Contest) => [...contest.rounds.values()].some(({ verdict }) => verdict !== null);

/** Everything that was measured and judged, whenever that was. */
function numbersOf(store: Store): unknown[] {
  const events = store.events({ types: ['evaluation.measured', 'evaluation.scored', 'duel.judged', 'round.judged'] });
  const numbers = events.map(({ type, data }) => ({ type, data: { ...(data as { id?: string }), atBlock: 0 } }));
  return numbers.sort((a, b) => (`${a.type}${a.data.id}` < `${b.type}${b.data.id}` ? -1 : 1));
}

it('one evaluator on one thread, four on two, and one that is stopped all the time give the same bits', async () => {
  const alone = test.store('alone');
  const units: UnitReport[] = [];
  await run(alone, { workDirectory: `${test.root}/alone`, onUnit: (unit) => units.push(unit) }, isJudged);
  const expected = numbersOf(alone);
  expect(units.filter(({ kind }) => kind === 'kl')).toHaveLength(9); // base and two challengers, three units each
  expect(units.filter(({ kind }) => kind === 'answers').length).toBeGreaterThanOrEqual(12);
  expect(units.every(({ error }) => error === null)).toBe(true);

  const many = test.store('many');
  const openRunner = () => new Compute({ threads: 2 });
  await run(many, { workDirectory: `${test.root}/many`, evaluators: 4, openRunner }, isJudged);
  expect(numbersOf(many)).toEqual(expected);

  const stopped = test.store('stopped');
  const done: UnitReport[] = [];
  for (
    let lives = 0;
    !numbersOf(stopped).some((event) => (event as { type: string }).type === 'round.judged');
    lives++
  ) {
    expect(lives).toBeLessThan(40);
    const before = done.length;
    const onUnit = (unit: UnitReport) => done.push(unit);
    const diesSoon = (contest: Contest) => isJudged(contest) || done.length >= before + 4;
    await run(stopped, { workDirectory: `${test.root}/stopped`, onUnit }, diesSoon);
  }
  expect(numbersOf(stopped)).toEqual(expected);
  const finished = done.filter(({ error }) => error === null).map(({ kind, key }) => `${kind} ${key}`);
  expect(finished).toEqual([...new Set(finished)]); // nothing is computed twice
});

it.each([true, false])(
  'a duel that cannot be won ends early; its axes are asked for unless the rules skip them (%s)',
  async (skipAxes) => {
    const store = test.store(`early ${skipAxes}`);
    const units: UnitReport[] = [];
    // Nobody beats the base by as much as this.
    const sequential = {
      ...{ lookEvery: 8, win: { alpha: 0.005, minPrompts: 24 } },
      futility: { minProbability: 0.05, minPrompts: 16, skipAxes },
    };
    const rules = { ...config, duel: { ...config.duel, prompts: 120, minDelta: 100, sequential } };
    const workDirectory = `${test.root}/early-${skipAxes}`;
    await run(store, { workDirectory, config: rules, onUnit: (unit) => units.push(unit) }, isJudged);
    const ofAnn = units.filter(({ model }) => model === 'ann/model').map(({ kind }) => kind);
    expect(ofAnn.filter((kind) => kind === 'kl')).toHaveLength(2); // of five
    expect(ofAnn.includes('answers')).toBe(!skipAxes);
    const [duel] = store.events({ types: ['duel.judged'] });
    expect(duel!.data).toMatchObject({ n: 16, win: false, sequential: { reason: 'futility' } });
  },
);
