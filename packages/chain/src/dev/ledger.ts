/**
 * @file The rules of the dev chain, in the order of a block: what is due at its start, then one signed call after the other.
 *
 * A rule first checks everything and then hands back what it would do, so a refused call leaves nothing behind and a
 * preview is the same check without the deed. Gates follow subtensor where it matters to a contest.
 */
import type Database from 'libsql';
import type { Call } from './call.ts';
import type { ResolvedOptions } from './options.ts';
import { CommitRules } from './rules/commit.ts';
import type { Deed, RuleContext } from './rules/context.ts';
import { isEpochBlock, runSubnetEpoch } from './rules/epoch.ts';
import { register, registrationCost } from './rules/register.ts';
import { addStake } from './rules/stake.ts';
import { setWeights } from './rules/weights.ts';
import type { State } from './state.ts';

export class Ledger {
  readonly #context: RuleContext;
  readonly #commits: CommitRules;

  constructor(sql: Database.Database, state: State, options: ResolvedOptions) {
    this.#context = { state, options };
    this.#commits = new CommitRules(sql, this.#context);
  }

  /** What happens at the start of block `block`, before its calls. */
  begin(block: number): void {
    for (const subnet of this.#context.state.subnets.values()) {
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
        return this.#commits.commit(signer, call.params, block);
      case 'setWeights':
        return setWeights(context, signer, call.params, block);
    }
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
