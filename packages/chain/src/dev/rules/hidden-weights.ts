/**
 * @file Weights that are committed in one epoch and count from a later one on: by hash, or timelocked.
 *
 * Source: subtensor `subnets/weights.rs` and `coinbase/reveal_commits.rs`, spec 425. A commit made in epoch e belongs to the
 * reveal epoch e + period. By hash, its validator reveals it in that epoch; timelocked, the chain does at the epoch's start, or
 * in the first later block of it that has the beacon's round. What is not revealed by its end is dropped.
 */
import { QuasarError } from '@quasar/base';
import { fromHex, toHex } from '../../hex.ts';
import { commitHash, decodeWeightsPayload, netuidIndex, timelockDecrypt } from '../../timelock/index.ts';
import { upscaleU16 } from '../../weights.ts';
import type { SubnetState, WeightCommit } from '../state.ts';
import { type Deed, type Registered, type RuleContext, refused, registered, tooSoon } from './context.ts';
import { isEpochBlock } from './epoch.ts';
import { requireRate, requireRow, requireStake, requireVersion } from './weights.ts';

const MAX_UNREVEALED = 10;

interface Row {
  uids: number[];
  /** u16 */
  values: number[];
  versionKey: number;
}

export function commitWeights(
  context: RuleContext,
  hotkey: string,
  params: { netuid: number; hash: string },
  block: number,
): Deed<'commitWeights'> {
  const at = registered(context, params.netuid, hotkey);
  requireCommit(context, at, block);
  return () => {
    addCommit(context, at, block, { kind: 'hash', hash: params.hash });
    const { tempo } = context.options;
    const revealFromBlock = revealBlock(context, at.subnet, at.subnet.schedule.epochIndex);
    return { kind: 'hash', committedAtBlock: block, revealFromBlock, revealUntilBlock: revealFromBlock + tempo - 1 };
  };
}

export function commitTimelockedWeights(
  context: RuleContext,
  hotkey: string,
  params: { netuid: number; ciphertext: string; round: number },
  block: number,
): Deed<'commitTimelockedWeights'> {
  const { ciphertext, round } = params;
  const at = registered(context, params.netuid, hotkey);
  requireCommit(context, at, block);
  return () => {
    addCommit(context, at, block, { kind: 'timelocked', ciphertext, round });
    const expectedRevealBlock = Math.max(round, revealBlock(context, at.subnet, at.subnet.schedule.epochIndex));
    return { kind: 'timelocked', committedAtBlock: block, revealRound: round, expectedRevealBlock };
  };
}

export function revealWeights(
  context: RuleContext,
  hotkey: string,
  params: { netuid: number; salt: number[] } & Row,
  block: number,
): Deed<'revealWeights'> {
  const { netuid, uids, values, salt, versionKey } = params;
  const at = registered(context, netuid, hotkey);
  const { subnet } = at;
  const hash = toHex(commitHash({ hotkey, netuidIndex: netuidIndex(netuid), uids, values, salt, versionKey }));
  const found = subnet.weightCommits.find(
    (commit) => commit.hotkey === hotkey && commit.sealed.kind === 'hash' && commit.sealed.hash === hash,
  );
  if (!found) {
    const hint = 'reveal exactly what was committed, within its epoch';
    throw refused('InvalidRevealCommitHashNotMatch', `hotkey ${hotkey} has no live commit with hash ${hash}`, hint);
  }
  const due = revealBlock(context, subnet, found.epoch);
  if (block < due) throw tooSoon('weights are revealed in the epoch after their commit', due);
  requireReveal(context, at, params);
  return () => {
    // Older commits of the hotkey are overtaken.
    const index = subnet.weightCommits.indexOf(found);
    dropCommits(
      context,
      subnet,
      (commit, i) => commit.hotkey === hotkey && commit.sealed.kind === 'hash' && i <= index,
    );
    putRow(context, at, params, block);
    return { setAtBlock: block };
  };
}

/** At the start of a block, before its epoch runs: reveals what is due; drops, with a record, what is late or cannot be opened. */
export function revealTimelockedWeights(context: RuleContext, subnet: SubnetState, block: number): void {
  if (subnet.weightCommits.length === 0) return;
  const { state, options } = context;
  const epoch = subnet.schedule.epochIndex + (isEpochBlock(context, subnet, block) ? 1 : 0);
  const isLate = (commit: WeightCommit) => commit.epoch + options.revealPeriodEpochs < epoch;
  for (const { hotkey } of subnet.weightCommits.filter(isLate)) {
    state.addEvent(subnet, 'weights dropped', hotkey, 'not revealed within their epoch');
  }
  dropCommits(context, subnet, isLate);
  for (const commit of [...subnet.weightCommits]) {
    const { sealed, hotkey } = commit;
    if (sealed.kind !== 'timelocked' || commit.epoch + options.revealPeriodEpochs !== epoch) continue;
    if (sealed.round > block) continue;
    dropCommits(context, subnet, (other) => other === commit);
    try {
      const opened = timelockDecrypt(fromHex(sealed.ciphertext), context.beacon().signature(sealed.round));
      const { hotkey: author, ...row } = decodeWeightsPayload(opened);
      if (author !== null && author !== hotkey) throw refused('HotkeyMismatch', `made by ${author}`, 'sign your own');
      const at = registered(context, subnet.netuid, hotkey);
      requireReveal(context, at, row);
      putRow(context, at, row, block);
    } catch (error) {
      if (!(error instanceof QuasarError)) throw error;
      state.addEvent(subnet, 'weights dropped', hotkey, `${error.code}: ${error.message}`);
    }
  }
}

/** The first block of the epoch in which a commit of epoch `epoch` is revealed, as long as the tempo stays. */
export function revealBlock({ options }: RuleContext, { schedule }: SubnetState, epoch: number): number {
  return schedule.lastEpoch + (epoch + options.revealPeriodEpochs - schedule.epochIndex) * options.tempo;
}

function requireCommit(context: RuleContext, at: Registered, block: number): void {
  if (context.options.commitReveal === 'off') {
    throw refused('CommitRevealDisabled', 'this chain takes plain weights', 'set the weights without a commit');
  }
  requireRate(context, at, block);
  const waiting = at.subnet.weightCommits.filter(({ hotkey }) => hotkey === at.neuron.hotkey).length;
  if (waiting < MAX_UNREVEALED) return;
  const retryAtBlock = at.subnet.schedule.lastEpoch + context.options.tempo;
  throw new QuasarError('chain.too_many_commits', `${waiting} commits of weights wait for their reveal`, {
    hint: `wait for block ${retryAtBlock}, the next epoch`,
    retry: 'later',
    data: { retryAtBlock },
  });
}

/** The gates of a reveal. The rate was judged at the commit. */
function requireReveal(context: RuleContext, at: Registered, { uids, values, versionKey }: Row): void {
  requireStake(context, at);
  requireVersion(context, versionKey);
  if (uids.length !== values.length || new Set(uids).size !== uids.length) {
    throw new QuasarError('chain.weights_invalid', `${uids.length} uids, some twice, or not as many values`, {
      hint: 'one value for each uid',
    });
  }
  requireRow(context, at, uids);
}

function addCommit({ state }: RuleContext, at: Registered, block: number, sealed: WeightCommit['sealed']): void {
  const { subnet, neuron, uid } = at;
  const commit = { hotkey: neuron.hotkey, committedAt: block, epoch: subnet.schedule.epochIndex, sealed };
  subnet.weightCommits.push(commit);
  state.touchHidden(subnet);
  neuron.lastUpdate = block;
  state.touchNeuron(subnet, uid);
}

function dropCommits(
  { state }: RuleContext,
  subnet: SubnetState,
  goes: (commit: WeightCommit, index: number) => boolean,
): void {
  const left = subnet.weightCommits.filter((commit, i) => !goes(commit, i));
  if (left.length === subnet.weightCommits.length) return;
  subnet.weightCommits = left;
  state.touchHidden(subnet);
}

function putRow({ state }: RuleContext, at: Registered, { uids, values }: Row, block: number): void {
  state.setWeights(at.subnet, at.uid, { setAt: block, uids, values: upscaleU16(values) });
}
