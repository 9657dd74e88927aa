/**
 * @file Commitments: plain ones, readable at once, and timelocked ones that the chain reveals when its beacon allows.
 *
 * One live commitment per hotkey, as on subtensor: a newer one replaces one that is not revealed yet. Each takes its bytes,
 * at least 100, of 3100 per epoch. Source: `pallets/commitments`, spec 425. Simplified: every reveal is kept, not the newest ten.
 */
import { QuasarError } from '@quasar/base';
import { fromHex } from '../../hex.ts';
import { decodeTimelockedText, timelockDecrypt } from '../../timelock/index.ts';
import type { SubnetState } from '../state.ts';
import { type Deed, type Registered, type RuleContext, registered, tooSoon } from './context.ts';

const SPACE_PER_EPOCH_BYTES = 3100;
const LEAST_CHARGE_BYTES = 100;

export function commit(
  context: RuleContext,
  hotkey: string,
  params: { netuid: number; data: string },
  block: number,
): Deed<'commit'> {
  const at = registered(context, params.netuid, hotkey);
  requireNoReveal(at, block);
  const charge = requireSpace(context, at, Buffer.byteLength(params.data), block);
  return () => {
    charge();
    at.subnet.timelocks.delete(hotkey);
    at.subnet.lastReveals.set(hotkey, block);
    context.state.addReveal(at.subnet, { hotkey, uid: at.uid, committedAt: block, data: params.data });
    return { committedAtBlock: block, expectedRevealBlock: block };
  };
}

export function commitTimelocked(
  context: RuleContext,
  hotkey: string,
  params: { netuid: number; ciphertext: string; round: number },
  block: number,
): Deed<'commitTimelocked'> {
  const { ciphertext, round } = params;
  const at = registered(context, params.netuid, hotkey);
  const charge = requireSpace(context, at, (ciphertext.length - 2) / 2, block);
  return () => {
    charge();
    at.subnet.timelocks.set(hotkey, { committedAt: block, ciphertext, round });
    return { committedAtBlock: block, expectedRevealBlock: Math.max(round, block + 1) };
  };
}

/** At the start of a block: opens what the beacon has signed by now; drops, with a record, what cannot be opened. */
export function revealCommitments({ state, beacon }: RuleContext, subnet: SubnetState, block: number): void {
  for (const [hotkey, { committedAt, ciphertext, round }] of subnet.timelocks) {
    if (round > block) continue;
    subnet.timelocks.delete(hotkey);
    state.touchHidden(subnet);
    const uid = subnet.uids.get(hotkey);
    try {
      if (uid === undefined) throw new QuasarError('chain.not_registered', `hotkey ${hotkey} is gone`);
      const data = decodeTimelockedText(timelockDecrypt(fromHex(ciphertext), beacon().signature(round)));
      subnet.lastReveals.set(hotkey, block);
      state.addReveal(subnet, { hotkey, uid, committedAt, data });
    } catch (error) {
      if (!(error instanceof QuasarError)) throw error;
      state.addEvent(subnet, 'commitment dropped', hotkey, `${error.code}: ${error.message}`);
    }
  }
}

/** Throws `chain.space_full`. Returns what takes the space. */
function requireSpace({ state, options }: RuleContext, at: Registered, bytes: number, block: number): () => void {
  const { subnet, neuron } = at;
  const { epochIndex, lastEpoch } = subnet.schedule;
  const usage = subnet.space.get(neuron.hotkey);
  const used = usage?.epoch === epochIndex ? usage.used : 0;
  const charge = Math.max(LEAST_CHARGE_BYTES, bytes);
  if (used + charge > SPACE_PER_EPOCH_BYTES) {
    const retryAtBlock = Math.max(lastEpoch + options.tempo, block + 1);
    const message = `hotkey ${neuron.hotkey} used ${used} of ${SPACE_PER_EPOCH_BYTES} bytes in this epoch, ${charge} more do not fit`;
    throw new QuasarError('chain.space_full', message, {
      hint: `wait for block ${retryAtBlock}, the next epoch`,
      retry: 'later',
      data: { retryAtBlock },
    });
  }
  return () => {
    subnet.space.set(neuron.hotkey, { epoch: epochIndex, used: used + charge });
    state.touchHidden(subnet);
  };
}

/** A hotkey is revealed at most once per block: the block is the only order there is. */
function requireNoReveal({ subnet, neuron }: Registered, block: number): void {
  if (subnet.lastReveals.get(neuron.hotkey) !== block) return;
  throw tooSoon(`hotkey ${neuron.hotkey} already has a commitment that is revealed at block ${block}`, block + 1);
}
