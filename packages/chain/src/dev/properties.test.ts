/** @file Properties: u16 rounding, addresses, payloads, and any sequence of calls against a plain model. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ss58Decode, ss58Encode } from '../ss58.ts';
import { walletFromSeed } from '../wallet/index.ts';
import { fractions, upscaleToU16 } from '../weights.ts';
import { DevChain } from './dev-chain.ts';

const NETUID = 24;
const positive = fc.double({ min: 0, max: Number.MAX_VALUE, noNaN: true });
const weightVector = fc.array(positive, { minLength: 1, maxLength: 40 }).filter((w) => w.some((x) => x > 0));

describe('weights', () => {
  it('are u16 with the largest at 65535, and read back within rounding', () => {
    fc.assert(
      fc.property(weightVector, (weights) => {
        const values = upscaleToU16(weights);
        for (const v of values) expect(Number.isInteger(v) && v >= 0 && v <= 65535).toBe(true);
        expect(Math.max(...values)).toBe(65535);
        const max = Math.max(...weights);
        const total = weights.reduce((sum, w) => sum + w / max, 0);
        const read = fractions(values);
        expect(read.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 9);
        const tolerance = (weights.length + 1) / 65535;
        weights.forEach((w, i) => {
          expect(Math.abs((read[i] as number) - w / max / total)).toBeLessThanOrEqual(tolerance);
        });
      }),
    );
  });

  it('do not depend on scale, and setting what was read changes nothing', () => {
    fc.assert(
      fc.property(weightVector, (weights) => {
        const values = upscaleToU16(weights);
        expect(upscaleToU16(fractions(values))).toEqual(values);
        expect(upscaleToU16(values.map((v) => v / 1024))).toEqual(values);
      }),
    );
  });
});

describe('addresses', () => {
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });

  it('round trip', () => {
    fc.assert(
      fc.property(key, (bytes) => {
        expect([...ss58Decode(ss58Encode(bytes))]).toEqual([...bytes]);
      }),
    );
  });

  it('catch one wrong character', () => {
    const alphabet = [...'123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'];
    fc.assert(
      fc.property(key, fc.nat(47), fc.constantFrom(...alphabet), (bytes, at, character) => {
        const address = ss58Encode(bytes);
        const wrong = address.slice(0, at) + character + address.slice(at + 1);
        fc.pre(wrong !== address);
        expect(() => ss58Decode(wrong)).toThrow(expect.objectContaining({ code: 'chain.address_invalid' }));
      }),
      // A two-byte checksum lets one in 65536 pass; the seed keeps the test from meeting it.
      { seed: 1 },
    );
  });
});

describe('the ledger', () => {
  const WALLETS = 4;
  const TEMPO = 6;
  const RATE = 4;
  const BALANCE = 300;
  /** Without the cut of an owner, whom these subnets lack. */
  const MINTED_PER_BLOCK = 1 - 11_796 / 65_535;
  const wallets = Array.from({ length: WALLETS }, (_, n) => walletFromSeed(new Uint8Array(32).fill(n + 1)));
  const who = fc.nat(WALLETS - 1);
  const step = fc.oneof(
    fc.record({ kind: fc.constant('register' as const), who }),
    fc.record({ kind: fc.constant('stake' as const), who, amount: fc.integer({ min: 1, max: 200 }) }),
    fc.record({
      kind: fc.constant('commit' as const),
      who,
      data: fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
      // Mostly plain: a timelock takes a tenth of a second to close and to open.
      delay: fc.constantFrom(0, 0, 0, 0, 0, 1, 2),
    }),
    fc.record({ kind: fc.constant('weights' as const), who, target: fc.nat(3), weight: positive }),
    fc.record({ kind: fc.constant('blocks' as const), count: fc.integer({ min: 1, max: 9 }) }),
  );
  const options = fc.record({
    maxUids: fc.integer({ min: 2, max: 4 }),
    immunityPeriodBlocks: fc.integer({ min: 0, max: 10 }),
    initialBurn: fc.constantFrom(0.5, 60),
  });

  /** What a caller may know of a hotkey without looking at its stake. */
  interface Model {
    uidOf: Map<number, number>;
    lastUpdate: Map<number, number>;
    permits: Set<number>;
    /** Block in which the live commitment opens. */
    reveals: Map<number, number>;
  }

  it('keeps its promises after any sequence of calls', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), options, async (steps, rules) => {
        const chain = DevChain.open({
          ...rules,
          path: ':memory:',
          blockTimeMs: 0,
          tempo: TEMPO,
          weightsRateLimitBlocks: RATE,
          initialBalance: BALANCE,
        });
        const model: Model = { uidOf: new Map(), lastUpdate: new Map(), permits: new Set(), reveals: new Map() };
        let burned = 0;
        let firstBlock = Number.POSITIVE_INFINITY;
        let block = 0;
        for (const s of steps) {
          if (s.kind === 'blocks') {
            await chain.advance(s.count);
            block += s.count;
          } else {
            const expected = await expectation(chain, model, s, block + 1, rules.maxUids);
            const cost = await chain.registrationCost(NETUID);
            const got = await call(chain, s).catch((error: { code: string }) => error.code);
            expect(typeof got === 'string' ? got : typeof got, JSON.stringify(s)).toBe(expected);
            if (typeof got !== 'string') {
              block++;
              if (s.kind === 'register' && !model.uidOf.has(s.who)) {
                burned += cost;
                firstBlock = Math.min(firstBlock, block);
              }
              await remember(chain, model, s, block, got);
            }
          }
          await expectSound(chain, block, burned, firstBlock);
          const { neurons } = await chain.metagraph(NETUID);
          model.permits = new Set(neurons.filter((n) => n.validatorPermit).map((n) => n.uid));
        }
        expect((await chain.head()).number).toBe(block);
        chain.close();
      }),
      { numRuns: 30 },
    );
  });

  type Step = typeof step extends fc.Arbitrary<infer S> ? Exclude<S, { kind: 'blocks' }> : never;

  function call(chain: DevChain, s: Step): Promise<unknown> {
    const wallet = wallets[s.who] as (typeof wallets)[0];
    if (s.kind === 'register') return chain.register(wallet, NETUID);
    if (s.kind === 'stake') return chain.addStake(wallet, NETUID, s.amount).then(() => ({}));
    if (s.kind === 'commit') return chain.commit(wallet, NETUID, s.data, { blocksUntilReveal: s.delay });
    return chain.setWeights(wallet, NETUID, [{ uid: s.target, weight: s.weight }]);
  }

  /** 'object' or the code of the refusal. */
  async function expectation(chain: DevChain, model: Model, s: Step, block: number, maxUids: number): Promise<string> {
    const uid = model.uidOf.get(s.who);
    const balance = await chain.balance((wallets[s.who] as (typeof wallets)[0]).address);
    if (s.kind === 'register') {
      return uid !== undefined || balance >= (await chain.registrationCost(NETUID))
        ? 'object'
        : 'chain.insufficient_balance';
    }
    if (s.kind === 'weights' && s.weight === 0) return 'chain.weights_invalid';
    if (uid === undefined) return 'chain.not_registered';
    if (s.kind === 'stake') return balance >= s.amount ? 'object' : 'chain.insufficient_balance';
    if (s.kind === 'commit') {
      // What was locked may open in the block that would take this one.
      return s.delay === 0 && model.reveals.get(s.who) === block ? 'chain.too_soon' : 'object';
    }
    if (block - (model.lastUpdate.get(s.who) as number) < RATE) return 'chain.too_soon';
    // An epoch at the start of the block may have given the permit.
    const permitted = model.permits.has(uid) || (await permittedNext(chain, uid, block));
    if (s.target !== uid && !permitted) return 'chain.no_permit';
    return s.target < Math.min(model.uidOf.size, maxUids) ? 'object' : 'chain.weights_invalid';
  }

  async function permittedNext(chain: DevChain, uid: number, block: number): Promise<boolean> {
    if ((await chain.nextEpochBlock(NETUID)) !== block) return false;
    return ((await chain.metagraph(NETUID)).neurons[uid]?.stake ?? 0) > 0;
  }

  async function remember(chain: DevChain, model: Model, s: Step, block: number, got: unknown): Promise<void> {
    if (s.kind === 'weights') model.lastUpdate.set(s.who, block);
    if (s.kind === 'commit') model.reveals.set(s.who, block + s.delay);
    if (s.kind !== 'register' || model.uidOf.has(s.who)) return;
    const { uid } = got as { uid: number };
    for (const [other, taken] of model.uidOf) if (taken === uid) model.uidOf.delete(other);
    model.uidOf.set(s.who, uid);
    model.lastUpdate.set(s.who, block);
    expect((await chain.metagraph(NETUID)).neurons[uid]?.hotkey).toBe(wallets[s.who]?.hotkey);
  }

  async function hadStake(chain: DevChain, block: number): Promise<boolean> {
    return (await chain.metagraph(NETUID, block)).neurons.some((n) => n.stake > 0);
  }

  async function expectSound(chain: DevChain, block: number, burned: number, firstBlock: number): Promise<void> {
    const { neurons } = await chain.metagraph(NETUID);
    expect(neurons.map((n) => n.uid)).toEqual(neurons.map((_, uid) => uid));
    expect(new Set(neurons.map((n) => n.hotkey)).size).toBe(neurons.length);
    for (const { address } of wallets) expect(await chain.balance(address)).toBeGreaterThanOrEqual(0);
    const { accounts, free, staked } = chain.issuance();
    const minted = free + staked - (accounts * BALANCE - burned);
    expect(minted).toBeGreaterThan(-1e-6);
    const epochs = Number.isFinite(firstBlock) ? Math.floor(Math.max(0, block - firstBlock) / TEMPO) : 0;
    expect(minted).toBeLessThan(MINTED_PER_BLOCK * TEMPO * epochs + 1e-6);
    if (epochs > 0 && (await hadStake(chain, firstBlock + TEMPO - 1)))
      expect(minted).toBeGreaterThan(MINTED_PER_BLOCK * TEMPO - 1e-6);
    const reveals = (await chain.commitments(NETUID, block)).map((c) => `${c.hotkey} ${c.revealedAtBlock}`);
    expect(new Set(reveals).size).toBe(reveals.length);
    for (const sum of [neurons.map((n) => n.incentive), neurons.map((n) => n.dividends)]) {
      expect(sum.reduce((a, b) => a + b, 0)).toBeLessThan(1 + 1e-9);
    }
  }
});
