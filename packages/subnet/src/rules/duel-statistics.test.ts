/**
 * @file The rules of the duel on deltas of real models, by simulation: a short form of `node bench/duel.js`. Seeded, so that it never
 * fails by luck; the bounds are those of the rules plus two standard errors of this many duels.
 */
import { readFileSync } from 'node:fs';
import { Rng } from '@quasar/base';
import { type Composite, pairedDeltas, power, resampled, sequentialVerdict, simulateDuels } from '@quasar/evals';
import { describe, expect, it } from 'vitest';
import { LOCAL, type SubnetConfig, UPSTREAM } from './config.ts';
import { type DuelEntry, decideCrown } from './crown.ts';

const recorded = JSON.parse(readFileSync(new URL('../../../../bench/duel/recorded.json', import.meta.url), 'utf8')) as {
  kl: Record<string, number[]>;
};
const klOf = (name: string) => recorded.kl[name]!;
const deltasOf = (king: string, challenger: string) => pairedDeltas(klOf(king), klOf(challenger));
const copies = Object.keys(recorded.kl).filter((name) => name.includes('noise'));

const DUELS = 2000;
const LEVEL = 0.03;
const BOUND = LEVEL + 2 * Math.sqrt((LEVEL * (1 - LEVEL)) / DUELS);

const EQUAL: Composite = { axes: {}, weighted: 0.5, worst: 0.5, worstAxis: null, quality: 0.5, qualityAxes: 9 };

/** One round over recorded prompts drawn with replacement; challengers are revealed in their order. */
function playRound(kingKl: Float64Array, challengers: Float64Array[], config: SubnetConfig): number | null {
  const entries = challengers.map((kl, i): DuelEntry => {
    const { atN, test } = sequentialVerdict(pairedDeltas(kingKl, kl), config.duel);
    const klPerPrompt = [...kl.subarray(0, atN)];
    const submission = { id: String(i), uid: i, hotkey: '', repo: '', revision: '', revealedAtBlock: i };
    return { submission, klPerPrompt, kl: klPerPrompt.reduce((a, b) => a + b) / atN, test, composite: EQUAL };
  });
  const { crowned } = decideCrown(entries, EQUAL.quality, config.crown, config.duel);
  return crowned && Number(crowned.submission.id);
}

function drawing(config: SubnetConfig, seed: string) {
  const rng = new Rng(seed);
  return () => {
    const prompts = Uint32Array.from({ length: config.duel.prompts }, () => rng.uint32() % klOf('a40').length);
    return (name: string) => Float64Array.from(prompts, (i) => klOf(name)[i]!);
  };
}

describe.each([
  ['upstream', UPSTREAM],
  ['local', LOCAL],
] as const)('%s rules', (_, { duel }) => {
  it.each([
    ['a40', 'b40'],
    ['a52', 'b52'],
    ['a40', 'a52'],
  ])('a challenger with the deltas of %s and %s, but equal, wins at most 3 % of duels', (king, challenger) => {
    const draw = resampled(deltasOf(king, challenger), 0);
    for (const sequential of [duel.sequential, null]) {
      const { wins } = simulateDuels({ duels: DUELS, seed: king + challenger, rules: { ...duel, sequential }, draw });
      expect(wins).toBeLessThanOrEqual(BOUND);
    }
  });

  it('early stopping halves the prompts of equals and costs next to no power', () => {
    const deltas = deltasOf('a40', 'a52');
    const run = (effect: number, more = {}) =>
      simulateDuels({ duels: 1000, seed: 'power', rules: { ...duel, ...more }, draw: resampled(deltas, effect) });
    expect(run(0).meanPrompts).toBeLessThan(0.65 * duel.prompts);
    for (const effect of [0.008, 0.015]) {
      const [looks, last] = [run(effect), run(effect, { sequential: null })];
      expect(looks.wins).toBeGreaterThan(last.wins - 0.02);
      const formula = power({ n: duel.prompts, effect, sd: 0.0552, rules: duel });
      expect(Math.abs(last.wins - formula)).toBeLessThan(0.07);
    }
  });
});

describe('noise copies', () => {
  it('of the king are never crowned by the local rules, alone or five at once', () => {
    const next = drawing(LOCAL, 'noise');
    for (let round = 0; round < DUELS / 10; round++) {
      const at = next();
      const kl = copies.map(at);
      for (const one of kl) expect(playRound(at('a40'), [one], LOCAL)).toBeNull();
      for (let level = 0; level < kl.length; level += 5)
        expect(playRound(at('a40'), kl.slice(level, level + 5), LOCAL)).toBeNull();
    }
  });

  it('of a winner never take the crown from it, though some are better by luck', () => {
    const next = drawing(LOCAL, 'clones');
    let won = 0;
    let better = 0;
    for (let round = 0; round < DUELS / 10; round++) {
      const at = next();
      const [king, original] = [at('a40'), at('a52')];
      const isWon = sequentialVerdict(pairedDeltas(king, original), LOCAL.duel).decided === 'win';
      if (!isWon) continue;
      won++;
      for (let level = 0; level < copies.length; level += 5) {
        const clones = copies.slice(level, level + 4).map((name) => {
          const noise = pairedDeltas(at(name), king);
          return original.map((x, i) => x + noise[i]!);
        });
        better += clones.filter((kl) => mean(kl) < mean(original)).length;
        expect(playRound(king, [original, ...clones], LOCAL)).toBe(0);
      }
    }
    expect(won).toBeGreaterThan(DUELS / 20);
    expect(better).toBeGreaterThan(won);
  });
});

function mean(values: Float64Array): number {
  return values.reduce((a, b) => a + b) / values.length;
}
