/**
 * @file One round from its start event to its end: measure, judge, wait for the activation block, crown.
 *
 * Every step looks at the log first, so calling it again after a crash goes on where the last process stopped.
 */
import { QuasarError } from '@quasar/base';
import type { KingCrowned, RoundOutcome } from '../events.ts';
import type { RoundState } from '../projection.ts';
import { entrant } from '../rules/submission.ts';
import { look, pause } from './blocks.ts';
import type { Context } from './context.ts';
import { judgeRound } from './judge-round.ts';
import { measureRound } from './measure-round.ts';
import { syncSubmissions } from './sync-submissions.ts';

export async function playRound(context: Context, round: RoundState): Promise<void> {
  if (!round.verdict) {
    const outcome = await reachVerdict(context, round);
    if (outcome) return finish(context, round, outcome);
  }
  while (context.atBlock < round.activationBlock) {
    await pause(context);
    await look(context);
    await syncSubmissions(context);
  }
  const { crowned } = round.verdict!;
  if (crowned !== null && !isCrowned(context, round, crowned)) crown(context, round, crowned);
  finish(context, round, crowned === null ? 'king_stays' : 'crowned');
}

/** @returns null when the verdict is in the log, or why there is none */
async function reachVerdict(context: Context, round: RoundState): Promise<RoundOutcome | null> {
  try {
    const challengers = await measureRound(context, round);
    if (challengers.length === 0) return 'no_challengers';
    const incumbent = context.contest.submissions.get(round.incumbent) ?? context.base;
    const { config, configHash, atBlock } = context;
    context.append(...judgeRound({ round, config, configHash, atBlock, incumbent, challengers }));
    return null;
  } catch (error) {
    if (!(error instanceof QuasarError) || error.code !== 'validator.no_verdict') throw error;
    context.log(`round ${round.round} has no verdict, the king stays: ${error.message}`, 'warn', error.code);
    return 'no_verdict';
  }
}

function isCrowned({ contest }: Context, round: RoundState, id: string): boolean {
  return contest.reigns.some((reign) => reign.round === round.round && reign.id === id);
}

function crown(context: Context, round: RoundState, id: string): void {
  const { contest } = context;
  const { uid, hotkey, repo, revision } = contest.submissions.get(id)!;
  const data: KingCrowned = {
    ...{ round: round.round, atBlock: context.atBlock, id, uid, hotkey, repo, revision },
    crownedAtBlock: context.atBlock,
    reign: contest.reigns.length + 1,
    previous: contest.king && entrant(contest.king),
    source: 'duel',
  };
  context.append({ type: 'king.crowned', data, key: String(round.round) });
  context.log(`uid ${uid} (${repo}) is crowned, reign ${data.reign}`);
}

function finish(context: Context, round: RoundState, outcome: RoundOutcome): void {
  const { king } = context.contest;
  context.append({
    type: 'round.finished',
    data: { round: round.round, atBlock: context.atBlock, king: king && entrant(king), outcome },
    key: String(round.round),
  });
}
