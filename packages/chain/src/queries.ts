/**
 * @file Reading the ledger: neurons, permits, commitments and weights, straight from SQLite.
 *
 * Whole rows are read with `all`: libsql's `get` adds a `_metadata` member to them.
 */
import type Database from 'libsql';
import type { Commitment, Head, Metagraph, WeightRow } from './port.ts';
import { fractions, stakeWeightedIncentive } from './weights.ts';

export interface NeuronRow {
  uid: number;
  hotkey: string;
  stake: number;
  registeredAtBlock: number;
  lastUpdateBlock: number;
}

const NEURON = 'uid, hotkey, stake, registered_at AS registeredAtBlock, last_update AS lastUpdateBlock';

export class Queries {
  readonly #maxValidators: number;
  readonly #statements;

  constructor(sql: Database.Database, maxValidators: number) {
    this.#maxValidators = maxValidators;
    this.#statements = {
      lastHead: sql.prepare('SELECT number, hash FROM blocks ORDER BY number DESC LIMIT 1'),
      hash: sql.prepare('SELECT hash FROM blocks WHERE number = ?'),
      headsAfter: sql.prepare('SELECT number, hash FROM blocks WHERE number > ? ORDER BY number LIMIT ?'),
      neuron: sql.prepare(`SELECT ${NEURON} FROM neurons WHERE netuid = ? AND hotkey = ?`),
      neurons: sql.prepare(`SELECT ${NEURON} FROM neurons WHERE netuid = ? ORDER BY uid`),
      permitted: sql.prepare('SELECT uid FROM neurons WHERE netuid = ? AND stake > 0 ORDER BY stake DESC, uid LIMIT ?'),
      commitments: sql.prepare(
        `SELECT c.uid, n.hotkey, c.revealed_at AS revealedAtBlock, c.data FROM commitments c
         JOIN neurons n ON n.netuid = c.netuid AND n.uid = c.uid
         WHERE c.netuid = ? AND c.revealed_at <= ? ORDER BY c.revealed_at, c.rowid`,
      ),
      weights: sql.prepare(
        `SELECT w.validator_uid AS validatorUid, n.hotkey, w.set_at AS setAtBlock, w.uids, w.u16_values AS u16Values
         FROM weights w JOIN neurons n ON n.netuid = w.netuid AND n.uid = w.validator_uid
         WHERE w.netuid = ?1 AND w.set_at = (SELECT max(set_at) FROM weights
           WHERE netuid = w.netuid AND validator_uid = w.validator_uid AND set_at <= ?2)
         ORDER BY w.validator_uid`,
      ),
    };
  }

  lastHead(): Head | null {
    return (this.#statements.lastHead.all([]) as Head[])[0] ?? null;
  }

  hash(block: number): string | null {
    return (this.#statements.hash.get([block]) as { hash: string } | undefined)?.hash ?? null;
  }

  headsAfter(block: number, limit: number): Head[] {
    return this.#statements.headsAfter.all([block, limit]) as Head[];
  }

  neuron(netuid: number, hotkey: string): NeuronRow | null {
    return (this.#statements.neuron.all([netuid, hotkey]) as NeuronRow[])[0] ?? null;
  }

  neurons(netuid: number): NeuronRow[] {
    return this.#statements.neurons.all([netuid]) as NeuronRow[];
  }

  /** Uids with a validator permit: the top by stake, stake above zero, the lower uid first on a tie. */
  permitted(netuid: number): Set<number> {
    const rows = this.#statements.permitted.all([netuid, this.#maxValidators]) as { uid: number }[];
    return new Set(rows.map((row) => row.uid));
  }

  commitments(netuid: number, atBlock: number): Commitment[] {
    const rows = this.#statements.commitments.all([netuid, atBlock]) as (Omit<Commitment, 'data'> & {
      data: ArrayBuffer;
    })[];
    return rows.map((row) => ({ ...row, data: Buffer.from(row.data).toString() }));
  }

  weights(netuid: number, atBlock: number): WeightRow[] {
    const rows = this.#statements.weights.all([netuid, atBlock]) as {
      validatorUid: number;
      hotkey: string;
      setAtBlock: number;
      uids: string;
      u16Values: string;
    }[];
    return rows.map(({ validatorUid, hotkey, setAtBlock, uids, u16Values }) => {
      const values = fractions(JSON.parse(u16Values));
      const weights = (JSON.parse(uids) as number[]).map((uid, i) => ({ uid, weight: values[i] as number }));
      return { validatorUid, hotkey, setAtBlock, weights };
    });
  }

  metagraph(netuid: number, atBlock: number): Metagraph {
    const rows = this.neurons(netuid);
    const permitted = this.permitted(netuid);
    const voting = this.weights(netuid, atBlock)
      .filter((row) => permitted.has(row.validatorUid))
      .map((row) => ({ stake: rows[row.validatorUid]?.stake ?? 0, weights: row.weights }));
    const incentive = stakeWeightedIncentive(voting, rows.length);
    const neurons = rows.map((row, uid) => ({
      ...row,
      validatorPermit: permitted.has(uid),
      incentive: incentive[uid] as number,
    }));
    return { netuid, atBlock, neurons };
  }
}
