/**
 * @file The state of the chain at its head: held in memory, written to SQLite with each block.
 *
 * Rules read and change the objects here and say what they touched; `flush` writes exactly that inside the transaction of
 * the block, and `load` reads everything back after a start or a failed write. Neurons and weights are kept by version
 * (`from_block`), so that every past block can be read.
 */
import type Database from 'libsql';
import { StateTables } from './state-tables.ts';

export interface NeuronState {
  hotkey: string;
  coldkey: string;
  registeredAt: number;
  /** Block of the last accepted or committed weights, or of the registration. */
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

/** Empty when cleared. */
export interface WeightState {
  setAt: number;
  uids: number[];
  /** u16 */
  values: number[];
}

/** Weights that were committed and are not revealed. */
export interface WeightCommit {
  hotkey: string;
  committedAt: number;
  /** Index of the epoch in which it was committed. */
  epoch: number;
  /** Hash of what will be revealed, or a ciphertext that opens with the beacon's round. */
  sealed: { kind: 'hash'; hash: string } | { kind: 'timelocked'; ciphertext: string; round: number };
}

/** A commitment that nobody can read yet. */
export interface Timelock {
  committedAt: number;
  ciphertext: string;
  round: number;
}

/** A commitment in the block that reveals it. */
export interface Reveal {
  hotkey: string;
  uid: number;
  committedAt: number;
  data: string;
}

export type EventRow = [netuid: number, kind: string, hotkey: string, detail: string];

/** Pairs [uid, u16]. */
export type BondRow = [number, number][];

export interface Schedule {
  /** Block of the last epoch, or of the subnet's first registration. */
  lastEpoch: number;
  /** Epochs since then. */
  epochIndex: number;
  /** Rao that a registration burned right after the last one, in block `burnAt`; it decays from there. */
  burn: number;
  burnAt: number;
}

export class SubnetState {
  readonly netuid: number;
  readonly schedule: Schedule;
  /** By uid. */
  readonly neurons: NeuronState[] = [];
  readonly uids = new Map<string, number>();
  /** Rao by hotkey; stays when a neuron is pruned. */
  readonly stakes = new Map<string, bigint>();
  /** By validator uid. */
  readonly weights = new Map<number, WeightState>();
  /** By validator uid. */
  bonds: BondRow[] = [];
  /** Oldest first. */
  weightCommits: WeightCommit[] = [];
  /** By hotkey: one live commitment each. */
  readonly timelocks = new Map<string, Timelock>();
  /** Block of the newest reveal of a hotkey. Not stored: only the present block matters. */
  readonly lastReveals = new Map<string, number>();
  /** Bytes that a hotkey committed in an epoch. */
  readonly space = new Map<string, { epoch: number; used: number }>();

  constructor(netuid: number, schedule: Schedule) {
    this.netuid = netuid;
    this.schedule = schedule;
  }

  stakeOf(hotkey: string): bigint {
    return this.stakes.get(hotkey) ?? 0n;
  }
}

export class State {
  readonly subnets = new Map<number, SubnetState>();
  readonly #tables: StateTables;
  readonly #initialBalance: bigint;
  readonly #balances = new Map<string, bigint>();
  readonly #owners = new Map<string, string>();
  readonly #dirty = {
    subnets: new Set<SubnetState>(),
    bonds: new Set<SubnetState>(),
    hidden: new Set<SubnetState>(),
    neurons: new Map<SubnetState, Set<number>>(),
    weights: new Map<SubnetState, Set<number>>(),
    stakes: new Map<SubnetState, Set<string>>(),
    balances: new Set<string>(),
    owners: new Set<string>(),
  };

  #reveals: [SubnetState, Reveal][] = [];
  #events: EventRow[] = [];

  /** @param initialBalance rao that an account has before it is first used */
  constructor(sql: Database.Database, initialBalance: bigint) {
    this.#tables = new StateTables(sql);
    this.#initialBalance = initialBalance;
    this.load();
  }

  subnet(netuid: number): SubnetState | null {
    return this.subnets.get(netuid) ?? null;
  }

  createSubnet(netuid: number, schedule: Schedule): SubnetState {
    const subnet = new SubnetState(netuid, schedule);
    this.subnets.set(netuid, subnet);
    this.#dirty.subnets.add(subnet);
    return subnet;
  }

  touchSchedule(subnet: SubnetState): void {
    this.#dirty.subnets.add(subnet);
  }

  balanceOf(address: string): bigint {
    return this.#balances.get(address) ?? this.#initialBalance;
  }

  setBalance(address: string, rao: bigint): void {
    this.#balances.set(address, rao);
    this.#dirty.balances.add(address);
  }

  ownerOf(hotkey: string): string | null {
    return this.#owners.get(hotkey) ?? null;
  }

  setOwner(hotkey: string, coldkey: string): void {
    this.#owners.set(hotkey, coldkey);
    this.#dirty.owners.add(hotkey);
  }

  setStake(subnet: SubnetState, hotkey: string, rao: bigint): void {
    subnet.stakes.set(hotkey, rao);
    entry(this.#dirty.stakes, subnet).add(hotkey);
    const uid = subnet.uids.get(hotkey);
    if (uid !== undefined) this.touchNeuron(subnet, uid);
  }

  /** Puts a neuron at a uid, in place of the one that may be there. */
  setNeuron(subnet: SubnetState, uid: number, neuron: NeuronState): void {
    const old = subnet.neurons[uid];
    if (old) subnet.uids.delete(old.hotkey);
    subnet.neurons[uid] = neuron;
    subnet.uids.set(neuron.hotkey, uid);
    this.touchNeuron(subnet, uid);
  }

  touchNeuron(subnet: SubnetState, uid: number): void {
    entry(this.#dirty.neurons, subnet).add(uid);
  }

  setWeights(subnet: SubnetState, uid: number, weights: WeightState): void {
    subnet.weights.set(uid, weights);
    entry(this.#dirty.weights, subnet).add(uid);
  }

  setBonds(subnet: SubnetState, bonds: BondRow[]): void {
    subnet.bonds = bonds;
    this.#dirty.bonds.add(subnet);
  }

  /** After a change of weight commits, timelocks or space. */
  touchHidden(subnet: SubnetState): void {
    this.#dirty.hidden.add(subnet);
  }

  addReveal(subnet: SubnetState, reveal: Reveal): void {
    this.#reveals.push([subnet, reveal]);
  }

  /** Something that happened to a hotkey and changed nothing that can be read elsewhere. */
  addEvent(subnet: SubnetState, kind: string, hotkey: string, detail: string): void {
    this.#events.push([subnet.netuid, kind, hotkey, detail]);
  }

  /** Writes what was touched as of `block`. Call inside its transaction. */
  flush(block: number): void {
    const { subnets, bonds, hidden, neurons, weights, stakes, balances, owners } = this.#dirty;
    for (const subnet of subnets) this.#tables.writeSubnet(subnet);
    for (const subnet of bonds) this.#tables.writeBonds(subnet);
    for (const subnet of hidden) this.#tables.writeHidden(subnet);
    for (const [subnet, uids] of neurons) for (const uid of uids) this.#tables.writeNeuron(subnet, uid, block);
    for (const [subnet, uids] of weights) for (const uid of uids) this.#tables.writeWeights(subnet, uid, block);
    for (const [subnet, hotkeys] of stakes) for (const hotkey of hotkeys) this.#tables.writeStake(subnet, hotkey);
    for (const address of balances) this.#tables.writeBalance(address, this.balanceOf(address));
    for (const hotkey of owners) this.#tables.writeOwner(hotkey, this.ownerOf(hotkey) as string);
    for (const [subnet, reveal] of this.#reveals) this.#tables.writeReveal(subnet, reveal, block);
    for (const event of this.#events) this.#tables.writeEvent(block, event);
    this.#clean();
  }

  /** Forgets what is in memory and reads the file. */
  load(): void {
    this.#clean();
    this.subnets.clear();
    this.#balances.clear();
    this.#owners.clear();
    for (const subnet of this.#tables.readSubnets()) this.subnets.set(subnet.netuid, subnet);
    for (const [address, rao] of this.#tables.readBalances()) this.#balances.set(address, rao);
    for (const [hotkey, coldkey] of this.#tables.readOwners()) this.#owners.set(hotkey, coldkey);
  }

  /** Rao: what accounts hold that were used, and what is staked. */
  issuance(): { accounts: number; free: bigint; staked: bigint } {
    const sum = (amounts: Iterable<bigint>) => [...amounts].reduce((total, rao) => total + rao, 0n);
    const staked = [...this.subnets.values()].map(({ stakes }) => sum(stakes.values()));
    return { accounts: this.#balances.size, free: sum(this.#balances.values()), staked: sum(staked) };
  }

  /** Whether something waits to be written. */
  get isDirty(): boolean {
    const pending = this.#reveals.length + this.#events.length;
    return pending > 0 || Object.values(this.#dirty).some((touched) => touched.size > 0);
  }

  #clean(): void {
    for (const touched of Object.values(this.#dirty)) touched.clear();
    this.#reveals = [];
    this.#events = [];
  }
}

function entry<K, V>(map: Map<K, Set<V>>, key: K): Set<V> {
  let set = map.get(key);
  if (!set) {
    set = new Set();
    map.set(key, set);
  }
  return set;
}
