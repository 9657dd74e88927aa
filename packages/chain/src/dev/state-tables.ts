/** @file The rows of the state in SQLite: one writer per thing, and reading it all back. Integers are read as bigint. */
import type Database from 'libsql';
import {
  type BondRow,
  type EventRow,
  type NeuronState,
  type Reveal,
  SubnetState,
  type Timelock,
  type WeightCommit,
  type WeightState,
} from './state.ts';

export interface NeuronRow {
  netuid: bigint;
  uid: bigint;
  hotkey: string;
  coldkey: string;
  registered_at: bigint;
  last_update: bigint;
  stake_rao: bigint;
  active: bigint;
  permit: bigint;
  incentive: bigint;
  dividends: bigint;
  consensus: bigint;
  validator_trust: bigint;
  emission_rao: bigint;
}

interface SubnetRow {
  netuid: bigint;
  last_epoch: bigint;
  epoch_index: bigint;
  burn_rao: number;
  burn_at: bigint;
}

interface HiddenRow {
  netuid: bigint;
  weight_commits: string;
  timelocks: string;
  space: string;
}

interface WeightsRow {
  netuid: bigint;
  validator_uid: bigint;
  set_at: bigint;
  uids: string;
  u16_values: string;
}

export class StateTables {
  readonly #sql: Database.Database;
  readonly #write;

  constructor(sql: Database.Database) {
    this.#sql = sql;
    this.#write = {
      subnet: sql.prepare('INSERT OR REPLACE INTO subnets VALUES (?, ?, ?, ?, ?)'),
      hidden: sql.prepare('INSERT OR REPLACE INTO hidden VALUES (?, ?, ?, ?)'),
      reveal: sql.prepare('INSERT INTO commitments VALUES (?, ?, ?, ?, ?, ?)'),
      event: sql.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?)'),
      bonds: sql.prepare('INSERT OR REPLACE INTO bonds VALUES (?, ?)'),
      neuron: sql.prepare('INSERT OR REPLACE INTO neurons VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
      weights: sql.prepare('INSERT OR REPLACE INTO weights VALUES (?, ?, ?, ?, ?, ?, ?)'),
      stake: sql.prepare('INSERT OR REPLACE INTO stakes VALUES (?, ?, ?)'),
      balance: sql.prepare('INSERT OR REPLACE INTO balances VALUES (?, ?)'),
      owner: sql.prepare('INSERT OR REPLACE INTO owners VALUES (?, ?)'),
    };
  }

  writeSubnet({ netuid, schedule }: SubnetState): void {
    this.#write.subnet.run([netuid, schedule.lastEpoch, schedule.epochIndex, schedule.burn, schedule.burnAt]);
  }

  writeBonds({ netuid, bonds }: SubnetState): void {
    this.#write.bonds.run([netuid, encodeBonds(bonds)]);
  }

  writeHidden({ netuid, weightCommits, timelocks, space }: SubnetState): void {
    const rows = [weightCommits, [...timelocks], [...space]].map((value) => JSON.stringify(value));
    this.#write.hidden.run([netuid, ...rows]);
  }

  writeReveal({ netuid }: SubnetState, { hotkey, uid, committedAt, data }: Reveal, block: number): void {
    this.#write.reveal.run([netuid, block, committedAt, hotkey, uid, Buffer.from(data)]);
  }

  writeEvent(block: number, event: EventRow): void {
    this.#write.event.run([block, ...event]);
  }

  writeNeuron(subnet: SubnetState, uid: number, block: number): void {
    const n = subnet.neurons[uid] as NeuronState;
    this.#write.neuron.run([
      ...[subnet.netuid, uid, block, n.hotkey, n.coldkey, n.registeredAt, n.lastUpdate, subnet.stakeOf(n.hotkey)],
      ...[n.active ? 1 : 0, n.permit ? 1 : 0, n.incentive, n.dividends, n.consensus, n.validatorTrust, n.emission],
    ]);
  }

  writeWeights(subnet: SubnetState, uid: number, block: number): void {
    const { setAt, uids, values } = subnet.weights.get(uid) as WeightState;
    const { hotkey } = subnet.neurons[uid] as NeuronState;
    this.#write.weights.run([subnet.netuid, uid, block, hotkey, setAt, JSON.stringify(uids), JSON.stringify(values)]);
  }

  writeStake(subnet: SubnetState, hotkey: string): void {
    this.#write.stake.run([subnet.netuid, hotkey, subnet.stakeOf(hotkey)]);
  }

  writeBalance(address: string, rao: bigint): void {
    this.#write.balance.run([address, rao]);
  }

  writeOwner(hotkey: string, coldkey: string): void {
    this.#write.owner.run([hotkey, coldkey]);
  }

  readSubnets(): SubnetState[] {
    const subnets = new Map<bigint, SubnetState>();
    for (const { netuid, last_epoch, epoch_index, burn_rao, burn_at } of this.#rows<SubnetRow>(
      'SELECT * FROM subnets',
    )) {
      const schedule = {
        lastEpoch: Number(last_epoch),
        epochIndex: Number(epoch_index),
        burn: burn_rao,
        burnAt: Number(burn_at),
      };
      subnets.set(netuid, new SubnetState(Number(netuid), schedule));
    }
    const of = (netuid: bigint) => subnets.get(netuid) as SubnetState;
    for (const row of this.#rows<NeuronRow>(newest('neurons', 'uid'))) {
      of(row.netuid).neurons[Number(row.uid)] = neuronOf(row);
      of(row.netuid).uids.set(row.hotkey, Number(row.uid));
    }
    for (const row of this.#rows<WeightsRow>(newest('weights', 'validator_uid'))) {
      of(row.netuid).weights.set(Number(row.validator_uid), {
        setAt: Number(row.set_at),
        uids: JSON.parse(row.uids),
        values: JSON.parse(row.u16_values),
      });
    }
    for (const row of this.#rows<{ netuid: bigint; hotkey: string; rao: bigint }>('SELECT * FROM stakes')) {
      of(row.netuid).stakes.set(row.hotkey, row.rao);
    }
    for (const row of this.#rows<{ netuid: bigint; bond_rows: ArrayBuffer }>('SELECT * FROM bonds')) {
      of(row.netuid).bonds = decodeBonds(row.bond_rows);
    }
    for (const row of this.#rows<HiddenRow>('SELECT * FROM hidden')) {
      const subnet = of(row.netuid);
      subnet.weightCommits = JSON.parse(row.weight_commits) as WeightCommit[];
      for (const [hotkey, timelock] of JSON.parse(row.timelocks) as [string, Timelock][]) {
        subnet.timelocks.set(hotkey, timelock);
      }
      for (const [hotkey, used] of JSON.parse(row.space) as [string, { epoch: number; used: number }][]) {
        subnet.space.set(hotkey, used);
      }
    }
    return [...subnets.values()];
  }

  readBalances(): [string, bigint][] {
    const rows = this.#rows<{ address: string; rao: bigint }>('SELECT * FROM balances');
    return rows.map(({ address, rao }) => [address, rao]);
  }

  readOwners(): [string, string][] {
    const rows = this.#rows<{ hotkey: string; coldkey: string }>('SELECT * FROM owners');
    return rows.map(({ hotkey, coldkey }) => [hotkey, coldkey]);
  }

  #rows<T>(query: string): T[] {
    return this.#sql.prepare(query).safeIntegers(true).all([]) as T[];
  }
}

export function neuronOf(row: NeuronRow): NeuronState {
  return {
    hotkey: row.hotkey,
    coldkey: row.coldkey,
    registeredAt: Number(row.registered_at),
    lastUpdate: Number(row.last_update),
    active: row.active === 1n,
    permit: row.permit === 1n,
    incentive: Number(row.incentive),
    dividends: Number(row.dividends),
    consensus: Number(row.consensus),
    validatorTrust: Number(row.validator_trust),
    emission: row.emission_rao,
  };
}

/** Rows one after the other, u16: the number of pairs, then uid and value of each. */
function encodeBonds(rows: readonly BondRow[]): Buffer {
  const out = new Uint16Array(rows.reduce((size, row) => size + 1 + 2 * row.length, 0));
  let at = 0;
  for (const row of rows) {
    out[at++] = row.length;
    for (const [uid, value] of row) {
      out[at++] = uid;
      out[at++] = value;
    }
  }
  return Buffer.from(out.buffer);
}

function decodeBonds(bytes: ArrayBuffer): BondRow[] {
  const from = new Uint16Array(Uint8Array.from(Buffer.from(bytes)).buffer);
  const rows: BondRow[] = [];
  for (let at = 0; at < from.length; ) {
    const row: BondRow = [];
    for (let left = from[at++] as number; left > 0; left--) row.push([from[at++] as number, from[at++] as number]);
    rows.push(row);
  }
  return rows;
}

function newest(table: string, key: string): string {
  return `SELECT * FROM ${table} t WHERE from_block = (SELECT max(from_block) FROM ${table}
    WHERE netuid = t.netuid AND ${key} = t.${key})`;
}
