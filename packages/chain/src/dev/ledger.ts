/**
 * @file The state rules of the dev chain: one signed call against the ledger, inside the transaction of its block.
 *
 * A rule first checks everything and then hands back what it would do, so a refused call leaves nothing behind and a
 * preview is the same check without the deed. Gates follow subtensor where it matters to a contest.
 */
import { QuasarError } from '@quasar/base';
import type Database from 'libsql';
import { toRao, toTao } from './amounts.ts';
import type { Call, CallResults } from './call.ts';
import type { State, SubnetState } from './state.ts';
import { upscaleToU16 } from './weights.ts';

/** Subtensor charges at least 100 of 3100 bytes per commitment and tempo (360 blocks). */
const COMMITS_PER_WINDOW = 31;
const COMMIT_WINDOW_BLOCKS = 360;

export interface LedgerRules {
  blocksUntilReveal: number;
  weightsRateLimitBlocks: number;
  maxUids: number;
  maxValidators: number;
}

type Deed<M extends Call['method']> = () => CallResults[M];

export class Ledger {
  readonly #state: State;
  readonly #rules: LedgerRules;
  readonly #statements;

  constructor(sql: Database.Database, state: State, rules: LedgerRules) {
    this.#state = state;
    this.#rules = rules;
    this.#statements = {
      lastReveal: sql.prepare('SELECT max(revealed_at) AS block FROM commitments WHERE netuid = ? AND hotkey = ?'),
      recentCommits: sql.prepare(
        'SELECT committed_at AS block FROM commitments WHERE netuid = ? AND hotkey = ? ORDER BY committed_at DESC LIMIT ?',
      ),
      commit: sql.prepare('INSERT INTO commitments VALUES (?, ?, ?, ?, ?, ?)'),
    };
  }

  /** What `call` by `signer` in block `block` would do; throws a `chain.*` QuasarError when a rule refuses it. */
  plan(signer: string, call: Call, block: number): Deed<Call['method']> {
    switch (call.method) {
      case 'register':
        return this.#register(signer, call.params, block);
      case 'addStake':
        return this.#addStake(signer, call.params);
      case 'commit':
        return this.#commit(signer, call.params, block);
      case 'setWeights':
        return this.#setWeights(signer, call.params.netuid, call.params.weights, block);
    }
  }

  #register(signer: string, params: { netuid: number; hotkey?: string | undefined }, block: number): Deed<'register'> {
    const { netuid, hotkey = signer } = params;
    const known = this.#state.subnet(netuid)?.uids.get(hotkey);
    if (known !== undefined) return () => ({ uid: known });
    const owner = this.#state.ownerOf(hotkey);
    if (owner !== null && owner !== signer) {
      throw new QuasarError('chain.refused', `hotkey ${hotkey} belongs to coldkey ${owner}, not to ${signer}`, {
        hint: 'register with the coldkey that owns the hotkey',
        data: { name: 'NonAssociatedColdKey' },
      });
    }
    const uid = this.#state.subnet(netuid)?.neurons.length ?? 0;
    if (uid >= this.#rules.maxUids) {
      throw new QuasarError('chain.subnet_full', `netuid ${netuid} has all its ${this.#rules.maxUids} uids taken`, {
        hint: 'the dev chain never removes a neuron; raise maxUids',
      });
    }
    return () => {
      const subnet = this.#state.subnet(netuid) ?? this.#state.createSubnet(netuid, block);
      this.#state.setOwner(hotkey, signer);
      this.#state.setNeuron(subnet, uid, {
        hotkey,
        coldkey: signer,
        registeredAt: block,
        lastUpdate: block,
        active: true,
        permit: false,
        incentive: 0,
        dividends: 0,
        consensus: 0,
        validatorTrust: 0,
        emission: 0n,
      });
      return { uid };
    };
  }

  #addStake(signer: string, params: { netuid: number; hotkey?: string | undefined; amount: number }): Deed<'addStake'> {
    const { netuid, hotkey = signer } = params;
    const { subnet } = this.#registered(netuid, hotkey);
    const amount = toRao(params.amount);
    const balance = this.#state.balanceOf(signer);
    if (balance < amount) throw insufficient(signer, balance, amount);
    return () => {
      this.#state.setBalance(signer, balance - amount);
      this.#state.setStake(subnet, hotkey, subnet.stakeOf(hotkey) + amount);
      return {};
    };
  }

  #commit(
    hotkey: string,
    params: { netuid: number; data: string; blocksUntilReveal?: number | undefined },
    block: number,
  ): Deed<'commit'> {
    const { netuid, data, blocksUntilReveal = this.#rules.blocksUntilReveal } = params;
    const { uid } = this.#registered(netuid, hotkey);
    const revealedAt = block + blocksUntilReveal;
    const last = this.#statements.lastReveal.get([netuid, hotkey]) as { block: number | null };
    if (last.block !== null && last.block >= revealedAt) {
      const retryAtBlock = last.block + 1 - blocksUntilReveal;
      throw tooSoon(`hotkey ${hotkey} already has a commitment that is revealed at block ${last.block}`, retryAtBlock);
    }
    const recent = this.#statements.recentCommits.all([netuid, hotkey, COMMITS_PER_WINDOW]) as { block: number }[];
    const oldest = recent[COMMITS_PER_WINDOW - 1];
    if (oldest && block - oldest.block < COMMIT_WINDOW_BLOCKS) {
      const limit = `${COMMITS_PER_WINDOW} commitments within ${COMMIT_WINDOW_BLOCKS} blocks`;
      throw tooSoon(`hotkey ${hotkey} already made ${limit}`, oldest.block + COMMIT_WINDOW_BLOCKS);
    }
    return () => {
      this.#statements.commit.run([netuid, revealedAt, block, hotkey, uid, Buffer.from(data)]);
      return { committedAtBlock: block, expectedRevealBlock: revealedAt };
    };
  }

  #setWeights(
    hotkey: string,
    netuid: number,
    weights: readonly { uid: number; weight: number }[],
    block: number,
  ): Deed<'setWeights'> {
    const { subnet, uid } = this.#registered(netuid, hotkey);
    const neuron = subnet.neurons[uid] as (typeof subnet.neurons)[0];
    if (!permitted(subnet, this.#rules.maxValidators).has(uid)) {
      throw new QuasarError('chain.no_permit', `uid ${uid} has no validator permit on netuid ${netuid}`, {
        hint: 'add stake: the permit goes to the top validators by stake',
        data: { uid, stake: toTao(subnet.stakeOf(hotkey)) },
      });
    }
    const retryAtBlock = neuron.lastUpdate + this.#rules.weightsRateLimitBlocks;
    if (block < retryAtBlock) {
      const limit = `one update per ${this.#rules.weightsRateLimitBlocks} blocks`;
      throw tooSoon(`uid ${uid} last updated at block ${neuron.lastUpdate}, ${limit}`, retryAtBlock);
    }
    const size = subnet.neurons.length;
    const issues = weights.flatMap((weight, i) =>
      weight.uid < size
        ? []
        : [
            {
              code: 'chain.weights_invalid',
              path: `params/weights/${i}/uid`,
              message: `uid ${weight.uid} is not registered; netuid ${netuid} has ${size} neurons`,
            },
          ],
    );
    if (issues[0]) {
      throw new QuasarError('chain.weights_invalid', `weights name unknown neurons: ${issues[0].message}`, {
        hint: 'read the metagraph again before setting weights',
        data: { issues },
      });
    }
    return () => {
      const values = upscaleToU16(weights.map((w) => w.weight));
      this.#state.setWeights(subnet, uid, { setAt: block, uids: weights.map((w) => w.uid), values });
      neuron.lastUpdate = block;
      this.#state.touchNeuron(subnet, uid);
      return { kind: 'plain', setAtBlock: block };
    };
  }

  #registered(netuid: number, hotkey: string): { subnet: SubnetState; uid: number } {
    const subnet = this.#state.subnet(netuid);
    const uid = subnet?.uids.get(hotkey);
    if (subnet && uid !== undefined) return { subnet, uid };
    throw new QuasarError('chain.not_registered', `hotkey ${hotkey} is not registered on netuid ${netuid}`, {
      hint: 'register first',
    });
  }
}

/** Uids with a validator permit: the top by stake, stake above zero, the lower uid first on a tie. */
export function permitted(subnet: SubnetState, maxValidators: number): Set<number> {
  const staked = subnet.neurons
    .map(({ hotkey }, uid) => ({ uid, stake: subnet.stakeOf(hotkey) }))
    .filter(({ stake }) => stake > 0n)
    .sort((a, b) => (a.stake === b.stake ? a.uid - b.uid : a.stake < b.stake ? 1 : -1));
  return new Set(staked.slice(0, maxValidators).map(({ uid }) => uid));
}

function insufficient(address: string, balance: bigint, needed: bigint): QuasarError {
  const message = `${address} has ${toTao(balance)} TAO, the call needs ${toTao(needed)}`;
  return new QuasarError('chain.insufficient_balance', message, {
    hint: 'send less, or use an account that has more',
    data: { balance: toTao(balance), needed: toTao(needed) },
  });
}

function tooSoon(why: string, retryAtBlock: number): QuasarError {
  return new QuasarError('chain.too_soon', `too soon: ${why}; the next is accepted in block ${retryAtBlock}`, {
    hint: `wait for block ${retryAtBlock}`,
    retry: 'later',
    data: { retryAtBlock },
  });
}
