/**
 * @file The proof that an exception cannot move weights, in three parts (docs/validator.md): one caller of the chain, a
 * vector that is a function of the log, and this: whatever throws, before or after it took effect, every row that
 * reaches the chain is that function of what the log said when it was sent.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { Chain, Wallet, Weight } from '@quasar/chain';
import type { Store } from '@quasar/store';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Evaluation } from '../evaluation/evaluation.ts';
import type { NewContestEvent } from '../events.ts';
import { rebuildContest } from '../projection.ts';
import { buildWeights } from '../rules/weights.ts';
import { overlay, TEST_CONFIG, TestContest } from '../testing/contest.ts';
import { Context } from './context.ts';

const SOURCES = join(import.meta.dirname, '..');
const MINERS = 3;
let test: TestContest;
let owner: Wallet;
let miners: Wallet[];
let runs = 0;

beforeAll(async () => {
  test = await TestContest.start();
  owner = await test.wallet('owner', 1000);
  miners = await Promise.all(Array.from({ length: MINERS }, (_, i) => test.wallet(`miner-${i}`)));
});
afterAll(() => test.stop());

it('the weight setter alone sets weights', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.startsWith('testing'),
  );
  const callers = files.filter((name) => /\bsetWeights\(/.test(readFileSync(join(SOURCES, name), 'utf8')));
  expect(callers).toEqual([join('validator', 'weight-setter.ts')]);
});

/** What happens to the contest between two looks of the weight setter. */
type Step = { do: 'crown' | 'remove'; miner: number } | { do: 'look'; throwAt: number; late: boolean; kind: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crown' as const), miner: fc.nat(MINERS - 1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), miner: fc.nat(MINERS - 1) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('look' as const),
      throwAt: fc.nat(9),
      late: fc.boolean(),
      kind: fc.nat(2),
    }),
  },
);

it('any border may throw at any call: each row on chain is the vector of the log', { timeout: 60_000 }, async () => {
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), async (steps) => {
      const store = test.store(`proof-${runs++}`);
      sent += await live(store, steps);
      store.close();
    }),
    { numRuns: 30 },
  );
  expect(sent).toBeGreaterThan(30);
});

/** @returns how many vectors were sent */
async function live(store: Store, steps: readonly Step[]): Promise<number> {
  let sent = 0;
  const wrong: object[] = [];
  let callsLeft = Number.POSITIVE_INFINITY;
  let failure: { late: boolean; error: Error } | null = null;
  const { neurons } = await test.chain.metagraph(TEST_CONFIG.netuid);
  const uidOf = (hotkey: string | undefined) => neurons.find((one) => one.hotkey === hotkey)?.uid ?? null;
  const ofTheLog = () => {
    const kingUid = uidOf(rebuildContest(store.events()).king?.hotkey);
    const uids = new Set(neurons.map(({ uid }) => uid));
    return buildWeights({ kingUid, uids, ownUid: uidOf(owner.hotkey)! }, TEST_CONFIG.weights);
  };
  /** A border that throws at the call that is due, before it did anything or after. */
  const border = <T extends object>(port: T): T =>
    new Proxy(port, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          const isDue = callsLeft-- === 0;
          if (isDue && !failure!.late) throw failure!.error;
          const answer: unknown = member.apply(target, args);
          if (!isDue) return answer;
          if (!(answer instanceof Promise)) throw failure!.error;
          return answer.then(() => Promise.reject(failure!.error));
        };
      },
    });
  const watched = overlay(test.chain, {
    setWeights: (wallet: Wallet, netuid: number, weights: Weight[]) => {
      sent++;
      // Kept, not thrown: what throws here is caught like any other error of the chain.
      if (JSON.stringify(weights) !== JSON.stringify(ofTheLog())) wrong.push({ weights, wanted: ofTheLog() });
      return test.chain.setWeights(wallet, netuid, weights);
    },
  } satisfies Partial<Chain>);

  const options = test.options('proof', owner, border(store), new AbortController().signal);
  const evaluation = await Evaluation.open({ ...options, evaluators: 0 });
  const open = () => Context.open({ ...options, chain: border(watched) }, evaluation);
  let context = await open();
  let reigns = 0;
  for (const one of steps) {
    context.atBlock = (await test.chain.head()).number;
    if (one.do === 'look') {
      callsLeft = one.throwAt;
      const code = ['chain.unreachable', 'store.disk', 'chain.refused'][one.kind]!;
      const error = one.kind === 2 ? new TypeError('a bug') : new QuasarError(code, 'thrown', { retry: 'later' });
      failure = { late: one.late, error };
      const before = context.contest.lastSeq;
      await context.weights.reconcile().catch(() => {});
      callsLeft = Number.POSITIVE_INFINITY;
      // A process that is hit by what it did not expect ends and starts over from its log.
      if (one.kind === 2) context = await open();
      expect(rebuildContest(store.events()).lastSeq).toBeGreaterThanOrEqual(before);
    } else {
      // Written, and the writer does not hear of it.
      const isLost = one.miner === 0;
      callsLeft = isLost ? 1 : Number.POSITIVE_INFINITY;
      failure = { late: true, error: new QuasarError('store.disk', 'thrown', { retry: 'later' }) };
      const append = () => context.append(change(one.do, miners[one.miner]!, context.atBlock, ++reigns));
      if (isLost) expect(append).toThrow('thrown');
      else append();
      callsLeft = Number.POSITIVE_INFINITY;
    }
  }
  // When the world is whole again, the chain says what the log says.
  context = await open();
  for (let look = 0; look < 4; look++) {
    context.atBlock = (await test.chain.head()).number;
    await context.weights.reconcile();
  }
  const { number } = await test.chain.head();
  const row = (await test.chain.weights(TEST_CONFIG.netuid, number)).find(({ hotkey }) => hotkey === owner.hotkey)!;
  const paid = row.weights.filter(({ weight }) => weight > 0).map(({ uid, weight }) => [uid, weight.toFixed(3)]);
  const wanted = ofTheLog()!.map(({ uid, weight }) => [uid, weight.toFixed(3)]);
  expect(paid.sort()).toEqual(wanted.sort());
  expect(wrong).toEqual([]);
  await evaluation.close();
  return sent;
}

function change(what: 'crown' | 'remove', { hotkey }: Wallet, atBlock: number, reign: number): NewContestEvent {
  const named = { round: 1, atBlock, id: hotkey, uid: 1, repo: 'a/b', revision: 'c'.repeat(40) };
  return what === 'crown'
    ? {
        type: 'king.crowned',
        data: { ...named, hotkey, crownedAtBlock: atBlock, reign, previous: null, source: 'duel' },
        key: String(reign),
      }
    : { type: 'submission.rejected', data: { ...named, status: 'REMOVED', issues: [] }, key: `${hotkey} ${reign}` };
}
