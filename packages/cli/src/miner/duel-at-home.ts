/** @file The duel that a model would fight, fought at home: the rules of the contest, the king of today, questions of our own. */
import type { Chain } from '@quasar/chain';
import type { HubClient } from '@quasar/hub';
import type { DuelPower, PreviewDuel, SubnetConfig } from '@quasar/subnet';
import type { Context } from '../context.ts';
import { startProgress } from '../ui/progress.ts';
import { findKing } from './find-king.ts';

export interface Opponent {
  /** For people. */
  name: string;
  /** Holds its checkpoint. */
  directory: string;
}

export interface DuelAtHomeOptions {
  directory: string;
  opponent: Opponent;
  teacher: string;
  config: SubnetConfig;
  /** Of the questions. */
  seed: string;
  signal: AbortSignal;
}

export interface DuelAtHome extends Omit<PreviewDuel, 'deltas'> {
  opponent: string;
  /** What such a duel finds of an improvement of 2 %. */
  power: DuelPower;
}

/** A share of the opponent's KL that a miner may hope for in a round. */
const IMPROVEMENT = 0.02;

/** Who has to be beaten today. @param base checkpoint that reigns while nobody else does */
export async function kingOrBase(
  chain: Chain,
  hub: HubClient,
  config: SubnetConfig,
  base: string,
  signal: AbortSignal,
): Promise<Opponent> {
  const king = await findKing(chain, hub, config, signal);
  if (king) return { name: `the king ${king.repo}`, directory: king.directory };
  return { name: 'the base student (nobody reigns)', directory: base };
}

export async function duelAtHome(context: Context, options: DuelAtHomeOptions): Promise<DuelAtHome> {
  const { duelPower, previewDuel } = await import('@quasar/subnet');
  const { directory, opponent, teacher, config, seed, signal } = options;
  const bars = new Map<string, ReturnType<typeof startProgress>>();
  try {
    const { deltas, ...fought } = await previewDuel({
      ...{ directory, opponentDirectory: opponent.directory, teacherDirectory: teacher, config, seed, signal },
      onProgress(phase, done, total) {
        const bar = bars.get(phase) ?? startProgress(context, `duel: ${phase}`);
        bars.set(phase, bar);
        bar.update(done, total);
        if (done === total) bar.end();
      },
    });
    const power = duelPower({ deltas, kingKl: fought.opponentKl, duel: config.duel, improvement: IMPROVEMENT });
    return { opponent: opponent.name, ...fought, power };
  } finally {
    for (const bar of bars.values()) bar.end();
  }
}

export function duelText({ opponent, test, verdict, kl, opponentKl, power }: DuelAtHome): string {
  const outcome = verdict.decided === 'win' ? 'would win' : 'would not win';
  const early = verdict.reason === 'last_look' ? '' : ` (a validator would stop after ${verdict.atN})`;
  const gain = `${test.meanDelta.toFixed(5)} ± ${(1.96 * test.se).toFixed(5)} nats (95 %), ${percentText(test.meanDelta / opponentKl, 1)} of it`;
  return [
    `duel: ${outcome} against ${opponent} on ${test.n} prompts of this machine's own${early}`,
    `  KL to the teacher ${kl.toFixed(4)} nats per token, to beat ${opponentKl.toFixed(4)}; less by ${gain}; p ${test.p < 1e-4 ? '< 0.0001' : test.p.toFixed(4)}`,
    ...powerLines(power).map((line) => `  ${line}`),
  ].join('\n');
}

/** What a duel can see, in words. */
export function powerLines({ prompts, kingKl, sd, improvement, effect, probability, simulated, eighty }: DuelPower) {
  const share = percentText(improvement, 1);
  const needed = Number.isFinite(eighty.prompts)
    ? `or ${eighty.prompts} prompts for ${share}`
    : `${share} is within the margin and never found`;
  return [
    `With n = ${prompts} prompts and a spread of ${sd.toFixed(4)} nats per prompt (${percentText(sd / kingKl, 0)} of the KL to beat)`,
    `a true improvement of ${share} (${effect.toFixed(4)} nats) is found with probability ${percentText(probability, 0)};`,
    `with early stopping ${percentText(simulated.probability, 0)}, after ${simulated.meanPrompts.toFixed(0)} prompts on average.`,
    `For 80 % it takes an improvement of ${percentText(eighty.improvement, 1)}, ${needed}.`,
  ];
}

function percentText(share: number, digits: number): string {
  return `${(100 * share).toFixed(digits)} %`;
}
