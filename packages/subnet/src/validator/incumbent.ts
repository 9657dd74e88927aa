/**
 * @file Whom the challengers of a round have to beat.
 *
 * The king by stake at the round's start block (`rules/king.ts`) is the incumbent, so that validators agree; its model
 * is the revision this validator crowned, or, when it never saw that crown, the last one revealed before the weights
 * that name it. The log decides when stake names somebody without a usable submission (a fallback uid). Without any
 * king it is the base student.
 */
import type { Metagraph } from '@quasar/chain';
import type { KingCrowned } from '../events.ts';
import type { SubmissionState } from '../projection.ts';
import { type ChainKing, chainKing, coordinatedKing } from '../rules/king.ts';
import { byReveal, entrant } from '../rules/submission.ts';
import { buildWeights } from '../rules/weights.ts';
import { checkSubmission } from './check-submission.ts';
import type { Context } from './context.ts';
import { revalidateKing } from './recheck.ts';

/**
 * Settle who is king before a round starts; writes what that changes.
 * @throws QuasarError with `retry: 'later'` while chain or hub cannot tell: no round starts on a guess
 */
export async function resolveIncumbent(context: Context, round: { round: number; startBlock: number }): Promise<void> {
  const named = await namedByStake(context, round.startBlock);
  const adopted = named && named.hotkey !== context.contest.king?.hotkey ? modelOf(context, named) : null;
  if (adopted && (await checkSubmission(context, adopted, round.round)) !== null) adopt(context, adopted, round.round);
  else await revalidateKing(context, round.round);
}

async function namedByStake(context: Context, startBlock: number): Promise<ChainKing | null> {
  const { contest, options, config } = context;
  const { chain, wallet } = options;
  const rows = await chain.weights(config.netuid, startBlock);
  const metagraph = await chain.metagraph(config.netuid, startBlock);
  const { king } = contest;
  const weights = king && ownWeights(context, metagraph);
  if (!weights) return chainKing(rows, metagraph);
  const own = { hotkey: wallet.hotkey, weights };
  const former = new Set(contest.reigns.map(({ hotkey }) => hotkey).filter((hotkey) => hotkey !== king.hotkey));
  const crowning = king.source === 'duel' ? contest.rounds.get(king.round) : undefined;
  if (!crowning) return coordinatedKing(rows, metagraph, { ...own, sinceBlock: 0, former, patientUntilBlock: 0 });
  const { hidden, delayBlocks } = await hiddenWeights(context);
  const open = rows.filter(({ hotkey }) => !hidden.has(hotkey));
  return coordinatedKing(open, metagraph, {
    ...{ ...own, former },
    sinceBlock: crowning.activationBlock + delayBlocks,
    patientUntilBlock: crowning.startBlock + config.round.giveUpBlocks + delayBlocks,
  });
}

function ownWeights({ contest, config, options }: Context, { neurons }: Metagraph) {
  const uidOf = (hotkey: string | undefined) => neurons.find((one) => one.hotkey === hotkey)?.uid ?? null;
  const ownUid = uidOf(options.wallet.hotkey);
  const kingUid = uidOf(contest.king?.hotkey);
  if (ownUid === null || kingUid === null) return null;
  return buildWeights({ kingUid, uids: new Set(neurons.map(({ uid }) => uid)), ownUid }, config.weights);
}

/** Whose row on chain may be older than what it has said since, and how late a row can follow what it says. */
async function hiddenWeights({ options, config }: Context): Promise<{ hidden: Set<string>; delayBlocks: number }> {
  const { chain } = options;
  const { commitRevealEnabled, revealPeriodEpochs, tempo } = await chain.hyperparameters(config.netuid);
  if (!commitRevealEnabled) return { hidden: new Set<string>(), delayBlocks: 0 };
  const pending = await chain.pendingWeights(config.netuid);
  return { hidden: new Set(pending.map(({ hotkey }) => hotkey)), delayBlocks: (revealPeriodEpochs + 1) * tempo };
}

/** The submission that a hotkey is paid for. */
function modelOf({ contest }: Context, named: ChainKing): SubmissionState | null {
  const usable = [...contest.submissions.values()].filter(
    (one) =>
      one.hotkey === named.hotkey &&
      one.repo !== '' &&
      one.revealedAtBlock <= named.weightsBlock &&
      !['COPY', 'REMOVED', 'INVALID'].includes(one.status),
  );
  return usable.sort(byReveal).at(-1) ?? null;
}

function adopt(context: Context, submission: SubmissionState, round: number): void {
  const { contest } = context;
  const { id, uid, hotkey, repo, revision } = submission;
  const event: KingCrowned = {
    ...{ round, atBlock: context.atBlock, id, uid, hotkey, repo, revision },
    crownedAtBlock: context.atBlock,
    reign: contest.reigns.length + 1,
    previous: contest.king && entrant(contest.king),
    source: 'chain',
  };
  context.append({ type: 'king.crowned', data: event, key: `adopted:${round}` });
  context.log(`uid ${uid} (${repo}) is king by the stake of the network`);
}
