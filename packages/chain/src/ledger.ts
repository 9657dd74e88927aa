/**
 * @file The state rules of the dev chain: one signed call against the ledger, inside the transaction of its block.
 *
 * Every rule is checked before the first write, so a refused call leaves nothing behind. Gates follow subtensor where it
 * matters to a contest (permit, rate, dense uids, u16); there is no registration cost, pruning, immunity or emission.
 */
import { QuasarError } from '@quasar/base';
import type Database from 'libsql';
import type { Call, CallResults } from './call.ts';
import type { NeuronRow, Queries } from './queries.ts';
import { upscaleToU16 } from './weights.ts';

/** Subtensor charges at least 100 of 3100 bytes per commitment and tempo (360 blocks). */
const COMMITS_PER_WINDOW = 31;
const COMMIT_WINDOW_BLOCKS = 360;

export interface LedgerRules {
  blocksUntilReveal: number;
  weightsRateLimitBlocks: number;
  maxUids: number;
}

export class Ledger {
  readonly #queries: Queries;
  readonly #rules: LedgerRules;
  readonly #statements;

  constructor(sql: Database.Database, queries: Queries, rules: LedgerRules) {
    this.#queries = queries;
    this.#rules = rules;
    this.#statements = {
      register: sql.prepare('INSERT INTO neurons VALUES (?, ?, ?, 0, ?, ?)'),
      setStake: sql.prepare('UPDATE neurons SET stake = ? WHERE netuid = ? AND uid = ?'),
      lastReveal: sql.prepare('SELECT max(revealed_at) AS block FROM commitments WHERE netuid = ? AND uid = ?'),
      recentCommits: sql.prepare(
        'SELECT committed_at AS block FROM commitments WHERE netuid = ? AND uid = ? ORDER BY committed_at DESC LIMIT ?',
      ),
      commit: sql.prepare('INSERT INTO commitments VALUES (?, ?, ?, ?, ?)'),
      setWeights: sql.prepare('INSERT OR REPLACE INTO weights VALUES (?, ?, ?, ?, ?)'),
      touch: sql.prepare('UPDATE neurons SET last_update = ? WHERE netuid = ? AND uid = ?'),
    };
  }

  /** Applies `call` by `hotkey` in block number `block`; throws a `chain.*` QuasarError when a rule refuses it. */
  apply(hotkey: string, call: Call, block: number): CallResults[Call['method']] {
    switch (call.method) {
      case 'register':
        return this.#register(hotkey, call.params.netuid, block);
      case 'addStake':
        return this.#addStake(hotkey, call.params.netuid, call.params.amount);
      case 'commit':
        return this.#commit(hotkey, call.params.netuid, call.params.data, block);
      case 'setWeights':
        return this.#setWeights(hotkey, call.params.netuid, call.params.weights, block);
    }
  }

  #register(hotkey: string, netuid: number, block: number): CallResults['register'] {
    const known = this.#queries.neuron(netuid, hotkey);
    if (known) return { uid: known.uid };
    const uid = this.#queries.neurons(netuid).length;
    if (uid >= this.#rules.maxUids) {
      throw new QuasarError('chain.subnet_full', `netuid ${netuid} has all its ${this.#rules.maxUids} uids taken`, {
        hint: 'the dev chain never removes a neuron; raise maxUids',
      });
    }
    this.#statements.register.run([netuid, uid, hotkey, block, block]);
    return { uid };
  }

  #addStake(hotkey: string, netuid: number, amount: number): CallResults['addStake'] {
    const neuron = this.#registered(netuid, hotkey);
    const stake = neuron.stake + amount;
    if (stake > Number.MAX_SAFE_INTEGER) {
      throw new QuasarError('chain.invalid_call', `stake ${neuron.stake} + ${amount} is above 2^53 - 1`);
    }
    this.#statements.setStake.run([stake, netuid, neuron.uid]);
    return {};
  }

  #commit(hotkey: string, netuid: number, data: string, block: number): CallResults['commit'] {
    const { uid } = this.#registered(netuid, hotkey);
    const revealedAtBlock = block + this.#rules.blocksUntilReveal;
    const last = this.#statements.lastReveal.get([netuid, uid]) as { block: number | null };
    if (last.block !== null && last.block >= revealedAtBlock) {
      const retryAtBlock = last.block + 1 - this.#rules.blocksUntilReveal;
      throw tooSoon(`hotkey ${hotkey} already has a commitment that is revealed at block ${last.block}`, retryAtBlock);
    }
    const recent = this.#statements.recentCommits.all([netuid, uid, COMMITS_PER_WINDOW]) as { block: number }[];
    const oldest = recent[COMMITS_PER_WINDOW - 1];
    if (oldest && block - oldest.block < COMMIT_WINDOW_BLOCKS) {
      const limit = `${COMMITS_PER_WINDOW} commitments within ${COMMIT_WINDOW_BLOCKS} blocks`;
      throw tooSoon(`hotkey ${hotkey} already made ${limit}`, oldest.block + COMMIT_WINDOW_BLOCKS);
    }
    this.#statements.commit.run([netuid, revealedAtBlock, block, uid, Buffer.from(data)]);
    return { revealedAtBlock };
  }

  #setWeights(
    hotkey: string,
    netuid: number,
    weights: readonly { uid: number; weight: number }[],
    block: number,
  ): CallResults['setWeights'] {
    const neuron = this.#registered(netuid, hotkey);
    if (!this.#queries.permitted(netuid).has(neuron.uid)) {
      throw new QuasarError('chain.no_permit', `uid ${neuron.uid} has no validator permit on netuid ${netuid}`, {
        hint: 'add stake: the permit goes to the top validators by stake',
        data: { uid: neuron.uid, stake: neuron.stake },
      });
    }
    const retryAtBlock = neuron.lastUpdateBlock + this.#rules.weightsRateLimitBlocks;
    if (block < retryAtBlock) {
      const limit = `one update per ${this.#rules.weightsRateLimitBlocks} blocks`;
      throw tooSoon(`uid ${neuron.uid} last updated at block ${neuron.lastUpdateBlock}, ${limit}`, retryAtBlock);
    }
    const size = this.#queries.neurons(netuid).length;
    const issues = weights.flatMap(({ uid }, i) =>
      uid < size
        ? []
        : [
            {
              code: 'chain.weights_invalid',
              path: `params/weights/${i}/uid`,
              message: `uid ${uid} is not registered; netuid ${netuid} has ${size} neurons`,
            },
          ],
    );
    if (issues[0]) {
      throw new QuasarError('chain.weights_invalid', `weights name unknown neurons: ${issues[0].message}`, {
        hint: 'read the metagraph again before setting weights',
        data: { issues },
      });
    }
    const values = upscaleToU16(weights.map((w) => w.weight));
    const uids = weights.map((w) => w.uid);
    this.#statements.setWeights.run([netuid, neuron.uid, block, JSON.stringify(uids), JSON.stringify(values)]);
    this.#statements.touch.run([block, netuid, neuron.uid]);
    return { setAtBlock: block };
  }

  #registered(netuid: number, hotkey: string): NeuronRow {
    const neuron = this.#queries.neuron(netuid, hotkey);
    if (neuron) return neuron;
    throw new QuasarError('chain.not_registered', `hotkey ${hotkey} is not registered on netuid ${netuid}`, {
      hint: 'register first',
    });
  }
}

function tooSoon(why: string, retryAtBlock: number): QuasarError {
  return new QuasarError('chain.too_soon', `too soon: ${why}; the next is accepted in block ${retryAtBlock}`, {
    hint: `wait for block ${retryAtBlock}`,
    retry: 'later',
    data: { retryAtBlock },
  });
}
