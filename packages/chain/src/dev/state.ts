/**
 * @file The state of the chain at its head: held in memory, written to SQLite with each block.
 *
 * Rules read and change the objects here and say what they touched; `flush` writes exactly that inside the transaction of
 * the block, and `load` reads everything back after a start or a failed write. Neurons and weights are kept by version
 * (`from_block`), so that every past block can be read.
 */
import type Database from 'libsql';

export interface NeuronState {
  hotkey: string;
  coldkey: string;
  registeredAt: number;
  lastUpdate: number;
  active: boolean;
  permit: boolean;
  /** u16 fractions of the last epoch. */
  incentive: number;
  dividends: number;
  consensus: number;
  validatorTrust: number;
  /** Rao of alpha that the last epoch paid. */
  emission: bigint;
}

export interface WeightState {
  setAt: number;
  uids: number[];
  /** u16 */
  values: number[];
}

export class SubnetState {
  readonly netuid: number;
  /** By uid. */
  readonly neurons: NeuronState[] = [];
  readonly uids = new Map<string, number>();
  /** Rao by hotkey; stays when a neuron is pruned. */
  readonly stakes = new Map<string, bigint>();
  /** By validator uid. */
  readonly weights = new Map<number, WeightState>();
  readonly createdAt: number;

  constructor(netuid: number, createdAt: number) {
    this.netuid = netuid;
    this.createdAt = createdAt;
  }

  stakeOf(hotkey: string): bigint {
    return this.stakes.get(hotkey) ?? 0n;
  }
}

export class State {
  readonly subnets = new Map<number, SubnetState>();
  readonly #sql: Database.Database;
  readonly #initialBalance: bigint;
  readonly #balances = new Map<string, bigint>();
  readonly #owners = new Map<string, string>();
  readonly #statements;
  readonly #dirtyNeurons = new Set<string>();
  readonly #dirtyWeights = new Set<string>();
  readonly #dirtyStakes = new Set<string>();
  readonly #dirtyBalances = new Set<string>();
  readonly #dirtyOwners = new Set<string>();

  /** @param initialBalance rao that an account has before it is first used */
  constructor(sql: Database.Database, initialBalance: bigint) {
    this.#sql = sql;
    this.#initialBalance = initialBalance;
    this.#statements = {
      subnet: sql.prepare('INSERT OR IGNORE INTO subnets VALUES (?, ?)'),
      neuron: sql.prepare('INSERT OR REPLACE INTO neurons VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
      weights: sql.prepare('INSERT OR REPLACE INTO weights VALUES (?, ?, ?, ?, ?, ?, ?)'),
      stake: sql.prepare('INSERT OR REPLACE INTO stakes VALUES (?, ?, ?)'),
      balance: sql.prepare('INSERT OR REPLACE INTO balances VALUES (?, ?)'),
      owner: sql.prepare('INSERT OR REPLACE INTO owners VALUES (?, ?)'),
    };
    this.load();
  }

  subnet(netuid: number): SubnetState | null {
    return this.subnets.get(netuid) ?? null;
  }

  /** Subnets of the dev chain begin with their first registration. */
  createSubnet(netuid: number, block: number): SubnetState {
    const subnet = new SubnetState(netuid, block);
    this.subnets.set(netuid, subnet);
    return subnet;
  }

  balanceOf(address: string): bigint {
    return this.#balances.get(address) ?? this.#initialBalance;
  }

  setBalance(address: string, rao: bigint): void {
    this.#balances.set(address, rao);
    this.#dirtyBalances.add(address);
  }

  ownerOf(hotkey: string): string | null {
    return this.#owners.get(hotkey) ?? null;
  }

  setOwner(hotkey: string, coldkey: string): void {
    this.#owners.set(hotkey, coldkey);
    this.#dirtyOwners.add(hotkey);
  }

  setStake(subnet: SubnetState, hotkey: string, rao: bigint): void {
    subnet.stakes.set(hotkey, rao);
    this.#dirtyStakes.add(`${subnet.netuid}/${hotkey}`);
    const uid = subnet.uids.get(hotkey);
    if (uid !== undefined) this.touchNeuron(subnet, uid);
  }

  setNeuron(subnet: SubnetState, uid: number, neuron: NeuronState): void {
    const old = subnet.neurons[uid];
    if (old) subnet.uids.delete(old.hotkey);
    subnet.neurons[uid] = neuron;
    subnet.uids.set(neuron.hotkey, uid);
    this.touchNeuron(subnet, uid);
  }

  touchNeuron(subnet: SubnetState, uid: number): void {
    this.#dirtyNeurons.add(`${subnet.netuid}/${uid}`);
  }

  setWeights(subnet: SubnetState, uid: number, weights: WeightState): void {
    subnet.weights.set(uid, weights);
    this.#dirtyWeights.add(`${subnet.netuid}/${uid}`);
  }

  /** Writes what was touched as of `block`. Call inside its transaction. */
  flush(block: number): void {
    for (const key of this.#dirtyNeurons) {
      const [subnet, uid] = this.#find(key);
      const n = subnet.neurons[uid] as NeuronState;
      this.#statements.subnet.run([subnet.netuid, subnet.createdAt]);
      this.#statements.neuron.run([
        ...[subnet.netuid, uid, block, n.hotkey, n.coldkey, n.registeredAt, n.lastUpdate, subnet.stakeOf(n.hotkey)],
        ...[n.active ? 1 : 0, n.permit ? 1 : 0, n.incentive, n.dividends, n.consensus, n.validatorTrust, n.emission],
      ]);
    }
    for (const key of this.#dirtyWeights) {
      const [subnet, uid] = this.#find(key);
      const { setAt, uids, values } = subnet.weights.get(uid) as WeightState;
      const { hotkey } = subnet.neurons[uid] as NeuronState;
      const row = [subnet.netuid, uid, block, hotkey, setAt, JSON.stringify(uids), JSON.stringify(values)];
      this.#statements.weights.run(row);
    }
    for (const key of this.#dirtyStakes) {
      const [netuid, hotkey] = key.split('/') as [string, string];
      const subnet = this.subnets.get(Number(netuid)) as SubnetState;
      this.#statements.stake.run([subnet.netuid, hotkey, subnet.stakeOf(hotkey)]);
    }
    for (const address of this.#dirtyBalances) this.#statements.balance.run([address, this.balanceOf(address)]);
    for (const hotkey of this.#dirtyOwners) this.#statements.owner.run([hotkey, this.ownerOf(hotkey)]);
    this.#clean();
  }

  /** Forgets what is in memory and reads the file. */
  load(): void {
    this.#clean();
    this.subnets.clear();
    this.#balances.clear();
    this.#owners.clear();
    const rows = <T>(query: string) => this.#sql.prepare(query).safeIntegers(true).all([]) as T[];
    for (const { netuid, created_at } of rows<{ netuid: bigint; created_at: bigint }>('SELECT * FROM subnets')) {
      this.subnets.set(Number(netuid), new SubnetState(Number(netuid), Number(created_at)));
    }
    for (const row of rows<NeuronRow>(newest('neurons', 'uid'))) {
      const subnet = this.subnets.get(Number(row.netuid)) as SubnetState;
      subnet.neurons[Number(row.uid)] = neuronOf(row);
      subnet.uids.set(row.hotkey, Number(row.uid));
    }
    for (const row of rows<WeightsRow>(newest('weights', 'validator_uid'))) {
      this.subnets.get(Number(row.netuid))?.weights.set(Number(row.validator_uid), {
        setAt: Number(row.set_at),
        uids: JSON.parse(row.uids),
        values: JSON.parse(row.u16_values),
      });
    }
    for (const row of rows<{ netuid: bigint; hotkey: string; rao: bigint }>('SELECT * FROM stakes')) {
      this.subnets.get(Number(row.netuid))?.stakes.set(row.hotkey, row.rao);
    }
    for (const row of rows<{ address: string; rao: bigint }>('SELECT * FROM balances')) {
      this.#balances.set(row.address, row.rao);
    }
    for (const row of rows<{ hotkey: string; coldkey: string }>('SELECT * FROM owners')) {
      this.#owners.set(row.hotkey, row.coldkey);
    }
  }

  #find(key: string): [SubnetState, number] {
    const [netuid, uid] = key.split('/').map(Number) as [number, number];
    return [this.subnets.get(netuid) as SubnetState, uid];
  }

  #clean(): void {
    for (const dirty of [this.#dirtyNeurons, this.#dirtyWeights, this.#dirtyStakes]) dirty.clear();
    for (const dirty of [this.#dirtyBalances, this.#dirtyOwners]) dirty.clear();
  }
}

/** A row of `neurons` read with safe integers. */
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

interface WeightsRow {
  netuid: bigint;
  validator_uid: bigint;
  set_at: bigint;
  uids: string;
  u16_values: string;
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

function newest(table: string, key: string): string {
  return `SELECT * FROM ${table} t WHERE from_block = (SELECT max(from_block) FROM ${table}
    WHERE netuid = t.netuid AND ${key} = t.${key})`;
}
