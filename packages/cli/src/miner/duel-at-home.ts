/** @file The duel that a model would fight, fought at home: the rules of the contest, the king of today, questions of our own. */
import type { Chain } from '@quasar/chain';
import type { HubClient } from '@quasar/hub';
import type { PreviewDuel } from '@quasar/subnet';
import type { Context } from '../context.ts';
import { startProgress } from '../ui/progress.ts';
import { findKing } from './find-king.ts';

export interface DuelAtHomeOptions {
  directory: string;
  /** Who has to be beaten while nobody reigns. */
  base: string;
  teacher: string;
  chain: Chain;
  hub: HubClient;
  signal: AbortSignal;
}

export interface DuelAtHome extends Pick<PreviewDuel, 'test' | 'kl' | 'opponentKl'> {
  opponent: string;
}

export async function duelAtHome(context: Context, options: DuelAtHomeOptions): Promise<DuelAtHome> {
  const { LOCAL, previewDuel } = await import('@quasar/subnet');
  const king = await findKing(options.chain, options.hub, options.signal);
  const bars = new Map<string, ReturnType<typeof startProgress>>();
  try {
    const { test, kl, opponentKl } = await previewDuel({
      ...{ directory: options.directory, opponentDirectory: king?.directory ?? options.base },
      ...{ teacherDirectory: options.teacher, config: LOCAL, seed: 'check', signal: options.signal },
      onProgress(phase, done, total) {
        const bar = bars.get(phase) ?? startProgress(context, `duel: ${phase}`);
        bars.set(phase, bar);
        bar.update(done, total);
        if (done === total) bar.end();
      },
    });
    return { opponent: king ? `the king ${king.repo}` : 'the base student (nobody reigns)', test, kl, opponentKl };
  } finally {
    for (const bar of bars.values()) bar.end();
  }
}

export function duelText({ opponent, test, kl, opponentKl }: DuelAtHome): string {
  const outcome = test.win ? 'would win' : 'would not win';
  const numbers = `KL ${kl.toFixed(4)}, to beat ${opponentKl.toFixed(4)}, lower bound of the gain ${test.lcb.toFixed(5)} nats`;
  return `duel: ${outcome} against ${opponent} on ${test.n} questions of our own: ${numbers}`;
}
