/** @file Properties: u16 rounding, addresses, payloads, and any sequence of calls against a plain model. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ss58Decode, ss58Encode } from '../ss58.ts';
import { walletFromSeed } from '../wallet/index.ts';
import { DevChain } from './dev-chain.ts';
import { fractions, stakeWeightedIncentive, upscaleToU16 } from './weights.ts';

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

  it('give an incentive that sums to one', () => {
    const row = fc.record({ stake: fc.double({ min: 0.001, max: 1e9, noNaN: true }), weights: weightVector });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), (rows) => {
        const asRead = rows.map(({ stake, weights }) => ({
          stake,
          weights: fractions(upscaleToU16(weights)).map((weight, uid) => ({ uid, weight })),
        }));
        const incentive = stakeWeightedIncentive(asRead, 40);
        expect(incentive).toHaveLength(40);
        expect(incentive.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 9);
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
  const wallets = [1, 2, 3].map((n) => walletFromSeed(new Uint8Array(32).fill(n)));
  const who = fc.nat(2);
  const step = fc.oneof(
    fc.record({ kind: fc.constant('register' as const), who }),
    fc.record({ kind: fc.constant('stake' as const), who, amount: fc.integer({ min: 1, max: 100 }) }),
    fc.record({
      kind: fc.constant('commit' as const),
      who,
      data: fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
    }),
    fc.record({
      kind: fc.constant('weights' as const),
      who,
      target: fc.nat(3),
      weight: fc.double({ min: 1e-9, max: 1e9, noNaN: true }),
    }),
    fc.record({ kind: fc.constant('blocks' as const), count: fc.integer({ min: 1, max: 5 }) }),
  );

  it('agrees with a plain model after any sequence of calls', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.integer({ min: 0, max: 3 }), async (steps, delay) => {
        const chain = DevChain.open({
          path: ':memory:',
          blockTimeMs: 0,
          blocksUntilReveal: delay,
          weightsRateLimitBlocks: 4,
        });
        const neurons: { wallet: number; stake: number; lastUpdate: number }[] = [];
        const commitments: { uid: number; at: number; data: string }[] = [];
        const targets = new Map<number, number>();
        let block = 0;
        for (const s of steps) {
          if (s.kind === 'blocks') {
            await chain.advance(s.count);
            block += s.count;
            continue;
          }
          const wallet = wallets[s.who] as (typeof wallets)[0];
          const uid = neurons.findIndex((n) => n.wallet === s.who);
          const neuron = neurons[uid];
          let expected: unknown;
          let call: Promise<unknown>;
          if (s.kind === 'register') {
            expected = { uid: neuron ? uid : neurons.length };
            if (!neuron) neurons.push({ wallet: s.who, stake: 0, lastUpdate: block + 1 });
            call = chain.register(wallet, NETUID);
          } else if (s.kind === 'stake') {
            expected = neuron ? undefined : 'chain.not_registered';
            if (neuron) neuron.stake += s.amount;
            call = chain.addStake(wallet, NETUID, s.amount);
          } else if (s.kind === 'commit') {
            expected = neuron
              ? { committedAtBlock: block + 1, expectedRevealBlock: block + 1 + delay }
              : 'chain.not_registered';
            if (neuron) commitments.push({ uid, at: block + 1 + delay, data: s.data });
            call = chain.commit(wallet, NETUID, s.data);
          } else {
            if (!neuron) expected = 'chain.not_registered';
            else if (neuron.stake === 0) expected = 'chain.no_permit';
            else if (block + 1 - neuron.lastUpdate < 4) expected = 'chain.too_soon';
            else if (s.target >= neurons.length) expected = 'chain.weights_invalid';
            else {
              expected = { kind: 'plain', setAtBlock: block + 1 };
              neuron.lastUpdate = block + 1;
              targets.set(uid, s.target);
            }
            call = chain.setWeights(wallet, NETUID, [{ uid: s.target, weight: s.weight }]);
          }
          const got = await call.catch((error: { code: string }) => error.code);
          expect(got).toEqual(expected);
          if (typeof expected !== 'string') block++;
        }
        expect((await chain.head()).number).toBe(block);
        const seen = (await chain.metagraph(NETUID)).neurons;
        expect(seen.map((n) => [n.hotkey, n.stake, n.lastUpdateBlock])).toEqual(
          neurons.map((n) => [wallets[n.wallet]?.hotkey, n.stake, n.lastUpdate]),
        );
        const revealed = (await chain.commitments(NETUID, block)).map((c) => ({
          uid: c.uid,
          at: c.revealedAtBlock,
          data: c.data,
        }));
        expect(revealed).toEqual(commitments.filter((c) => c.at <= block));
        const rows = await chain.weights(NETUID, block);
        expect(new Map(rows.map((r) => [r.validatorUid, r.weights[0]?.uid]))).toEqual(targets);
        chain.close();
      }),
      { numRuns: 25 },
    );
  });
});
