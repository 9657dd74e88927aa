/**
 * @file One round from its start event to its end: measure, judge, wait for the activation block, crown.
 *
 * Every step looks at the log first, so calling it again after a crash goes on where the last process stopped. A round
 * that is not through `giveUpBlocks` after its start has no verdict: whoever slept that long does not know any more
 * what its crown would overrule.
 */
import { QuasarError } from '@quasar/base';
import type { KingCrowned, KingRevalidated, RoundOutcome } from '../events.ts';
import type { RoundState, SubmissionState } from '../projection.ts';
import { isOverdue } from '../rules/round.ts';
import { entrant } from '../rules/submission.ts';
import { pause } from './blocks.ts';
import { rejection } from './check-submission.ts';
import type { Context } from './context.ts';
import { judgeKing } from './judge-king.ts';
import { judgeRound } from './judge-round.ts';
import { measureKing, measureRound } from './measure-round.ts';
import { recheckJudged } from './recheck.ts';
import { tend } from './tend.ts';

export async function playRound(context: Context, round: RoundState): Promise<void> {
  if (isOverdue(round, context.atBlock, context.config.round)) return giveUp(context, round);
  if (!round.verdict) {
    const outcome = await reachVerdict(context, round);
    if (outcome) return finish(context, round, outcome);
  }
  while (context.atBlock < round.activationBlock) {
    await pause(context);
    await tend(context);
  }
  if (isOverdue(round, context.atBlock, context.config.round)) return giveUp(context, round);
  const { crowned } = round.verdict!;
  const isCrowned = context.contest.reigns.some((reign) => reign.round === round.round && reign.id === crowned);
  if (round.revalidated) return finish(context, round, settle(context, round.revalidated));
  if (crowned === null) return finish(context, round, 'king_stays');
  if (!isCrowned) {
    const winner = context.contest.submissions.get(crowned)!;
    // Read once more before it is paid: the prechecks were long ago.
    if ((await recheckJudged(context, winner, round.round)) === 'removed') return finish(context, round, 'king_stays');
    crown(context, round, winner);
  }
  finish(context, round, 'crowned');
}

/** @returns null when the verdict is in the log, or why there is none */
async function reachVerdict(context: Context, round: RoundState): Promise<RoundOutcome | null> {
  try {
    const challengers = await measureRound(context, round);
    const isQuiet = challengers.length === 0;
    if (isQuiet && !(await measureKing(context, round))) return 'no_challengers';
    const incumbent = context.contest.submissions.get(round.incumbent) ?? context.base;
    const { config, configHash, atBlock } = context;
    if (round.configHash !== configHash)
      throw new QuasarError('validator.no_verdict', 'the rules changed after the round had started');
    const evidence = { round, config, configHash, atBlock, incumbent };
    context.append(...(isQuiet ? judgeKing(evidence) : judgeRound({ ...evidence, challengers })));
    return null;
  } catch (error) {
    if (!(error instanceof QuasarError) || error.code !== 'validator.no_verdict') throw error;
    context.log(`round ${round.round} has no verdict, the king stays: ${error.message}`, 'warn', error.code);
    return 'no_verdict';
  }
}

/** A king that was measured without challengers keeps the crown, unless it fell beyond doubt. */
function settle(context: Context, { id, round, kl, quality, issue }: KingRevalidated): RoundOutcome {
  const { contest } = context;
  const king = contest.submissions.get(id)!;
  if (issue === null) {
    context.log(`uid ${king.uid} (${king.repo}) stands: KL ${kl.toFixed(4)}, quality ${quality.toFixed(4)}`);
    return 'no_challengers';
  }
  if (contest.king?.id === id) context.append(rejection(context, king, round, { status: 'INVALID', issues: [issue] }));
  return 'king_removed';
}

function crown(context: Context, round: RoundState, winner: SubmissionState): void {
  const { contest } = context;
  const { id, uid, hotkey, repo, revision } = winner;
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

function giveUp(context: Context, round: RoundState): void {
  const { giveUpBlocks } = context.config.round;
  context.log(
    `round ${round.round} is not through ${giveUpBlocks} blocks after its start: given up, the king stays`,
    'warn',
    'validator.round_overdue',
  );
  finish(context, round, 'no_verdict');
}

function finish(context: Context, round: RoundState, outcome: RoundOutcome): void {
  const { king } = context.contest;
  context.append({
    type: 'round.finished',
    data: { round: round.round, atBlock: context.atBlock, king: king && entrant(king), outcome },
    key: String(round.round),
  });
  context.models.keepOnly(king?.id);
}
