/**
 * @file The rules of the dev chain, in the order of a block: what is due at its start, then one signed call after the other.
 *
 * A rule first checks everything and then hands back what it would do, so a refused call leaves nothing behind and a
 * preview is the same check without the deed. Gates follow subtensor where it matters to a contest.
 */
import type { PendingWeights } from '../port.ts';
import type { LocalBeacon } from '../timelock/index.ts';
import type { Call } from './call.ts';
import type { ResolvedOptions } from './options.ts';
import { commit, commitTimelocked, revealCommitments } from './rules/commit.ts';
import type { Deed, RuleContext } from './rules/context.ts';
import { isEpochBlock, runSubnetEpoch } from './rules/epoch.ts';
import {
  commitTimelockedWeights,
  commitWeights,
  revealBlock,
  revealTimelockedWeights,
  revealWeights,
} from './rules/hidden-weights.ts';
import { register, registrationCost } from './rules/register.ts';
import { addStake } from './rules/stake.ts';
import { setWeights } from './rules/weights.ts';
import type { State, SubnetState } from './state.ts';

export class Ledger {
  readonly #context: RuleContext;

  constructor(state: State, options: ResolvedOptions, beacon: () => LocalBeacon) {
    this.#context = { state, options, beacon };
  }

  /** What happens at the start of block `block`, before its calls. */
  begin(block: number): void {
    for (const subnet of this.#context.state.subnets.values()) {
      revealCommitments(this.#context, subnet, block);
      revealTimelockedWeights(this.#context, subnet, block);
      if (isEpochBlock(this.#context, subnet, block)) runSubnetEpoch(this.#context, subnet, block);
    }
  }

  /** What `call` by `signer` in block `block` would do; throws a `chain.*` QuasarError when a rule refuses it. */
  plan(signer: string, call: Call, block: number): Deed<Call['method']> {
    const context = this.#context;
    switch (call.method) {
      case 'register':
        return register(context, signer, call.params, block);
      case 'addStake':
        return addStake(context, signer, call.params);
      case 'commit':
        return commit(context, signer, call.params, block);
      case 'commitTimelocked':
        return commitTimelocked(context, signer, call.params, block);
      case 'setWeights':
        return setWeights(context, signer, call.params, block);
      case 'commitWeights':
        return commitWeights(context, signer, call.params, block);
      case 'revealWeights':
        return revealWeights(context, signer, call.params, block);
      case 'commitTimelockedWeights':
        return commitTimelockedWeights(context, signer, call.params, block);
    }
  }

  pendingWeights(netuid: number): PendingWeights[] {
    const subnet = this.#context.state.subnet(netuid);
    return (subnet?.weightCommits ?? []).map(({ hotkey, committedAt, epoch, sealed }) => {
      const due = revealBlock(this.#context, subnet as SubnetState, epoch);
      const expectedRevealBlock = sealed.kind === 'hash' ? due : Math.max(due, sealed.round);
      return { hotkey, kind: sealed.kind, committedAtBlock: committedAt, expectedRevealBlock };
    });
  }

  /** Rao that a registration in block `block` burns. */
  registrationCost(netuid: number, block: number): bigint {
    return registrationCost(this.#context, netuid, block);
  }

  /** The first block after `head` that runs an epoch. */
  nextEpochBlock(netuid: number, head: number): number {
    const { state, options } = this.#context;
    const last = state.subnet(netuid)?.schedule.lastEpoch ?? head;
    return Math.max(last + options.tempo, head + 1);
  }
}
