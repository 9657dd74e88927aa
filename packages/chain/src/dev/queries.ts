/**
 * @file Reading the chain: heads, and the ledger as any block left it.
 *
 * Whole rows are read with `all`: libsql's `get` adds a `_metadata` member to them.
 */
import type Database from 'libsql';
import type { Commitment, Head, Metagraph, Neuron, WeightRow } from '../port.ts';
import { fractions, U16_MAX } from '../weights.ts';
import { toTao } from './amounts.ts';
import type { ChainEvent } from './requests.ts';
import type { NeuronState } from './state.ts';
import { type NeuronRow, neuronOf } from './state-tables.ts';

export class Queries {
  readonly #statements;

  constructor(sql: Database.Database) {
    this.#statements = {
      lastHead: sql.prepare('SELECT number, hash FROM blocks ORDER BY number DESC LIMIT 1'),
      hash: sql.prepare('SELECT hash FROM blocks WHERE number = ?'),
      headsAfter: sql.prepare('SELECT number, hash FROM blocks WHERE number > ? ORDER BY number LIMIT ?'),
      neurons: sql
        .prepare(
          `SELECT * FROM neurons t WHERE netuid = ?1 AND from_block = (SELECT max(from_block) FROM neurons
             WHERE netuid = t.netuid AND uid = t.uid AND from_block <= ?2) ORDER BY uid`,
        )
        .safeIntegers(true),
      events: sql.prepare(
        'SELECT block, kind, hotkey, detail FROM events WHERE netuid = ? AND block > ? ORDER BY block, rowid LIMIT ?',
      ),
      commitments: sql.prepare(
        `SELECT uid, hotkey, revealed_at AS revealedAtBlock, data FROM commitments
         WHERE netuid = ? AND revealed_at <= ? ORDER BY revealed_at, committed_at, rowid`,
      ),
      weights: sql.prepare(
        `SELECT validator_uid AS validatorUid, hotkey, set_at AS setAtBlock, uids, u16_values AS u16Values
         FROM weights t WHERE netuid = ?1 AND from_block = (SELECT max(from_block) FROM weights
           WHERE netuid = t.netuid AND validator_uid = t.validator_uid AND from_block <= ?2)
 AND uids <> '[]' ORDER BY validator_uid`,
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

  /** Oldest first. */
  events(netuid: number, afterBlock: number, limit: number): ChainEvent[] {
    return this.#statements.events.all([netuid, afterBlock, limit]) as ChainEvent[];
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
    const rows = this.#statements.neurons.all([netuid, atBlock]) as NeuronRow[];
    const neurons = rows.map((row, uid) => portNeuron(neuronOf(row), uid, row.stake_rao));
    return { netuid, atBlock, neurons };
  }
}

function portNeuron(neuron: NeuronState, uid: number, stake: bigint): Neuron {
  return {
    uid,
    hotkey: neuron.hotkey,
    coldkey: neuron.coldkey,
    stake: toTao(stake),
    active: neuron.active,
    validatorPermit: neuron.permit,
    lastUpdateBlock: neuron.lastUpdate,
    registeredAtBlock: neuron.registeredAt,
    incentive: neuron.incentive / U16_MAX,
    dividends: neuron.dividends / U16_MAX,
    consensus: neuron.consensus / U16_MAX,
    validatorTrust: neuron.validatorTrust / U16_MAX,
    emission: toTao(neuron.emission),
  };
}
