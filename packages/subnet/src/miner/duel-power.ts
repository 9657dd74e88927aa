/** @file What a duel would see of an improvement, before anybody fights it: from the spread of a duel that was measured. */
import {
  detectableEffect,
  pairedDeltas,
  power,
  promptsNeeded,
  resampled,
  simulateDuels,
  testDeltas,
} from '@quasar/evals';
import type { Contest } from '../projection.ts';
import type { SubnetConfig } from '../rules/config.ts';
import type { Entrant } from '../rules/submission.ts';

export interface DuelPowerOptions {
  /** Of a measured duel, king minus challenger, nats per prompt: only their spread counts. */
  deltas: ArrayLike<number>;
  /** Mean KL of the king to beat, nats per token. */
  kingKl: number;
  duel: SubnetConfig['duel'];
  /** True improvement, as a share of the king's KL. */
  improvement: number;
  /** Length of the duel; default that of the rules. */
  prompts?: number | undefined;
}

export interface DuelPower {
  prompts: number;
  kingKl: number;
  /** Standard deviation of one prompt's delta, nats. */
  sd: number;
  improvement: number;
  /** The improvement in nats per token. */
  effect: number;
  /** That it is found at the last prompt, by formula. */
  probability: number;
  /** With early stopping, by simulated duels that draw from the deltas. */
  simulated: { duels: number; probability: number; meanPrompts: number };
  /** What is found with 80 % probability: an improvement in this many prompts, or this improvement in more of them. */
  eighty: { improvement: number; prompts: number };
}

const SIMULATED_DUELS = 2000;

/** Pure; about a second for 2000 duels. */
export function duelPower({ deltas, kingKl, duel, improvement, prompts = duel.prompts }: DuelPowerOptions): DuelPower {
  const { n, se } = testDeltas(deltas, duel);
  const sd = se * Math.sqrt(n);
  const effect = improvement * kingKl;
  const { wins, meanPrompts, duels } = simulateDuels({
    ...{ duels: SIMULATED_DUELS, seed: 'power', draw: resampled(deltas, effect) },
    rules: { ...duel, prompts },
  });
  return {
    ...{ prompts, kingKl, sd, improvement, effect },
    probability: power({ n: prompts, effect, sd, rules: duel }),
    simulated: { duels, probability: wins, meanPrompts },
    eighty: {
      improvement: detectableEffect({ n: prompts, sd, rules: duel }) / kingKl,
      prompts: promptsNeeded({ effect, sd, rules: duel }),
    },
  };
}

export interface MeasuredDuel {
  round: number;
  king: Entrant;
  challenger: Entrant;
  deltas: Float64Array;
  /** Of the model that reigns now. */
  kingKl: number;
}

/** The duel that crowned the present king; before the first king the newest duel; null without one. */
export function kingsDuel({ king, rounds }: Contest): MeasuredDuel | null {
  const newest = [...rounds.values()].filter(({ duels }) => duels.size > 0).at(-1);
  const round = (king && rounds.get(king.round)) || newest;
  const own = king && round?.duels.get(king.id);
  const duel = own || (round && [...round.duels.values()].at(-1));
  if (!round || !duel) return null;
  const kl = round.scored.get(duel.id)?.kl.perPrompt;
  const kingKl = round.scored.get(round.incumbent)?.kl.perPrompt.slice(0, duel.n);
  if (!kl || kl.length < 2 || kl.length !== kingKl?.length) return null;
  const { uid, repo, revision } = duel;
  return {
    ...{ round: duel.round, king: duel.king, challenger: { uid, repo, revision } },
    deltas: pairedDeltas(kingKl, kl),
    kingKl: own ? duel.challengerKl : duel.kingKl,
  };
}
