/** @file Weights: the gates of subtensor (`subnets/weights.rs`, spec 425) in its order, and what passing them does. */
import { type Issue, QuasarError } from '@quasar/base';
import { upscaleToU16 } from '../../weights.ts';
import { toTao } from '../amounts.ts';
import { stakeThresholdRao } from '../options.ts';
import { type Deed, type Registered, type RuleContext, refused, registered, tooSoon } from './context.ts';

interface Params {
  netuid: number;
  weights: readonly { uid: number; weight: number }[];
  versionKey?: number | undefined;
}

export function setWeights(context: RuleContext, hotkey: string, params: Params, block: number): Deed<'setWeights'> {
  const at = registered(context, params.netuid, hotkey);
  if (context.options.commitReveal !== 'off') {
    throw refused(
      'CommitRevealEnabled',
      'this subnet takes committed weights only',
      'commit them, as `setWeights` does',
    );
  }
  requireStake(context, at);
  requireVersion(context, params.versionKey);
  requireRate(context, at, block);
  const uids = params.weights.map(({ uid }) => uid);
  requireRow(context, at, uids);
  return () => {
    const { state } = context;
    const values = upscaleToU16(params.weights.map(({ weight }) => weight));
    state.setWeights(at.subnet, at.uid, { setAt: block, uids, values });
    at.neuron.lastUpdate = block;
    state.touchNeuron(at.subnet, at.uid);
    return { kind: 'plain', setAtBlock: block };
  };
}

/** Throws `chain.stake_too_low`. */
export function requireStake({ options }: RuleContext, { subnet, neuron, uid }: Registered): void {
  const stake = subnet.stakeOf(neuron.hotkey);
  if (stake >= stakeThresholdRao(options)) return;
  const message = `uid ${uid} has ${toTao(stake)} of stake, weights need ${options.stakeThreshold}`;
  throw new QuasarError('chain.stake_too_low', message, { hint: 'add stake', data: { stake: toTao(stake) } });
}

/** Throws `chain.version_key`. @param versionKey undefined: the one that is asked for */
export function requireVersion({ options }: RuleContext, versionKey: number | undefined): void {
  const { weightsVersionKey } = options;
  if (versionKey === undefined || versionKey >= weightsVersionKey) return;
  throw new QuasarError('chain.version_key', `version key ${versionKey}, the subnet asks for ${weightsVersionKey}`, {
    hint: 'the rules of the subnet have changed: update the validator',
    data: { versionKey: weightsVersionKey },
  });
}

/** Throws `chain.too_soon`. */
export function requireRate({ options }: RuleContext, { neuron, uid }: Registered, block: number): void {
  const retryAtBlock = neuron.lastUpdate + options.weightsRateLimitBlocks;
  if (block >= retryAtBlock) return;
  const limit = `one update per ${options.weightsRateLimitBlocks} blocks`;
  throw tooSoon(`uid ${uid} last updated at block ${neuron.lastUpdate}, ${limit}`, retryAtBlock);
}

/** Throws `chain.no_permit`, `chain.weights_invalid`. @param uids without repetition */
export function requireRow({ options }: RuleContext, at: Registered, uids: readonly number[]): void {
  const { subnet, uid, neuron } = at;
  const isSelfWeight = uids.length === 1 && uids[0] === uid;
  if (!isSelfWeight && !neuron.permit && neuron.hotkey !== options.subnetOwner) {
    throw new QuasarError('chain.no_permit', `uid ${uid} has no validator permit on netuid ${subnet.netuid}`, {
      hint: 'permits go to the top validators by stake, at the next epoch',
      retry: 'later',
      data: { uid, stake: toTao(subnet.stakeOf(neuron.hotkey)) },
    });
  }
  const code = 'chain.weights_invalid';
  const size = subnet.neurons.length;
  const issues: Issue[] = uids.flatMap((target, i) => {
    if (target < size) return [];
    const message = `uid ${target} is not registered; netuid ${subnet.netuid} has ${size} neurons`;
    return [{ code, path: `params/weights/${i}/uid`, message }];
  });
  const fewest = Math.min(options.minAllowedWeights, size);
  if (!isSelfWeight && uids.length < fewest) {
    issues.push({
      code,
      path: 'params/weights',
      message: `names ${uids.length} uids, at least ${fewest}; zeros count`,
    });
  }
  if (issues[0] === undefined) return;
  throw new QuasarError(code, `the chain refuses these weights: ${issues[0].message}`, {
    hint: 'read the metagraph and the hyperparameters again before setting weights',
    data: { issues },
  });
}
