/**
 * @file The chain port on a real subtensor network.
 *
 * Reads are of final blocks, with the runtime of that block; `metagraph`, `commitments` and `weights` of old blocks need a
 * node that still has them (archive). Commitments: the chain keeps the newest 10 reveals of a hotkey, older ones are gone.
 */
import { canonicalJson, QuasarError } from '@quasar/base';
import { checkCall } from '../dev/call.ts';
import type {
  Call,
  Chain,
  ChainIdentity,
  Commitment,
  CommitReceipt,
  Head,
  Hyperparameters,
  Metagraph,
  PendingWeights,
  Preview,
  RegisterOptions,
  Signer,
  Wallet,
  Weight,
  WeightRow,
  WeightsReceipt,
} from '../port.ts';
import { type SaltRecord, Salts } from '../salts.ts';
import { ss58Decode } from '../ss58.ts';
import { type Beacon, QUICKNET } from '../timelock/index.ts';
import {
  addStakeCall,
  type BuiltCall,
  type CallContext,
  callOf,
  commitCall,
  registerCall,
  revealCall,
  setWeightsCall,
  uidOf,
} from './calls.ts';
import { type EndpointHealth, Endpoints } from './endpoints.ts';
import { followHeads } from './heads.ts';
import { commitments, metagraph, weightRows } from './neurons.ts';
import { Node } from './node.ts';
import { hashCommits, pendingWeights, revealWindow } from './pending-weights.ts';
import { previewOf } from './preview.ts';
import type { BlockState } from './state.ts';
import { balance, blockTimeMs, epochClock, hyperparameters, registrationCost } from './subnets.ts';
import { type Included, Transactions } from './transactions.ts';
import { notRegistered } from './weights-plan.ts';

export interface SubtensorOptions {
  /** `ws://` or `wss://` addresses of nodes of one network; the healthiest is used, the others when it fails. */
  urls: readonly string[];
  /** What to call the network. Default: the name of the runtime. */
  network?: string | undefined;
  /** Genesis hash that every node must have. Default: that of the first node. */
  genesis?: string | undefined;
  /** Name of the runtime that every node must have. Default `node-subtensor`. */
  specName?: string | undefined;
  /** Where the salts of weights committed by hash are kept. Without one they are lost with the process. */
  stateDirectory?: string | undefined;
  /** How to commit weights where the subnet wants them committed. Default: timelocked. */
  commitReveal?: 'timelocked' | 'hash' | undefined;
  /** Whose signatures open timelocked data. Default: drand quicknet, as on every public network. */
  beacon?: Beacon | undefined;
  /** How long a read looks for a node that answers. Default 60 s. */
  patienceMs?: number | undefined;
  /** How long a node may take for one answer before it is left. Default 30 s. */
  requestTimeoutMs?: number | undefined;
}

/** Connects on first use. Throws `chain.invalid_options` for a malformed address. */
export class SubtensorChain implements Chain {
  readonly #node: Node;
  readonly #transactions: Transactions;
  readonly #salts: Salts;
  readonly #network: string | null;
  readonly #beacon: Beacon;
  readonly #commitReveal: 'timelocked' | 'hash';

  constructor(options: SubtensorOptions) {
    const check = { genesis: options.genesis ?? null, specName: options.specName ?? 'node-subtensor' };
    this.#node = new Node(new Endpoints(options.urls, check, options.patienceMs, options.requestTimeoutMs));
    this.#transactions = new Transactions(this.#node);
    this.#salts = new Salts(options.stateDirectory ?? null);
    this.#network = options.network ?? null;
    this.#beacon = options.beacon ?? QUICKNET;
    this.#commitReveal = options.commitReveal ?? 'timelocked';
  }

  async identity(): Promise<ChainIdentity> {
    const { runtime } = await this.#node.state();
    const { specName, specVersion } = runtime;
    return { network: this.#network ?? specName, genesis: await this.#genesis(), specName, specVersion };
  }

  /** How the nodes do. */
  health(): EndpointHealth[] {
    return this.#node.endpoints.health();
  }

  async head(): Promise<Head> {
    const { number, hash } = await this.#node.head();
    return { number, hash };
  }

  async bestHead(): Promise<Head> {
    const { number, hash } = await this.#node.bestHead();
    return { number, hash };
  }

  /** Null for a block that is not final yet. */
  async blockHash(block: number): Promise<string | null> {
    requireBlock(block);
    const head = await this.#node.head();
    if (block === head.number) return head.hash;
    return block < head.number ? this.#node.hashOf(block) : null;
  }

  async blockTimeMs(): Promise<number> {
    return blockTimeMs(await this.#node.state());
  }

  heads(signal: AbortSignal): AsyncIterable<Head> {
    return followHeads(this.#node, signal);
  }

  async metagraph(netuid: number, atBlock?: number): Promise<Metagraph> {
    requireNetuid(netuid);
    return metagraph(await this.#stateUpTo(atBlock), netuid);
  }

  async hyperparameters(netuid: number): Promise<Hyperparameters> {
    requireNetuid(netuid);
    return hyperparameters(await this.#node.state(), netuid);
  }

  async nextEpochBlock(netuid: number): Promise<number> {
    requireNetuid(netuid);
    return (await epochClock(await this.#node.state(), netuid)).nextEpochBlock;
  }

  async registrationCost(netuid: number): Promise<number> {
    requireNetuid(netuid);
    return registrationCost(await this.#node.state(), netuid);
  }

  async balance(address: string): Promise<number> {
    ss58Decode(address);
    return balance(await this.#node.state(), address);
  }

  async commitments(netuid: number, atBlock: number): Promise<Commitment[]> {
    requireNetuid(netuid);
    return commitments(await this.#stateUpTo(atBlock), netuid);
  }

  async weights(netuid: number, atBlock: number): Promise<WeightRow[]> {
    requireNetuid(netuid);
    return weightRows(await this.#stateUpTo(atBlock), netuid);
  }

  async pendingWeights(netuid: number): Promise<PendingWeights[]> {
    requireNetuid(netuid);
    return pendingWeights(await this.#node.state(), netuid);
  }

  async register(wallet: Wallet, netuid: number, options: RegisterOptions = {}): Promise<{ uid: number }> {
    const { hotkey } = wallet;
    const call = checkCall({ method: 'register', params: { netuid, hotkey, maxCost: options.maxCost } });
    const params = { netuid, hotkey, maxCost: options.maxCost };
    const signer = options.coldkey ?? wallet;
    const known = await uidOf(await this.#node.state(), netuid, hotkey);
    if (known !== undefined) return { uid: known };
    try {
      await this.#send(signer, call, (state) => registerCall(state, signer.address, params));
    } catch (error) {
      // Registered meanwhile, by an earlier call of ours that got no answer.
      if (!(error instanceof NothingToDo || isNamed(error, 'HotKeyAlreadyRegisteredInSubNet'))) throw error;
    }
    const uid = await uidOf(await this.#node.state(), netuid, hotkey);
    if (uid === undefined) throw notRegistered(hotkey, netuid);
    return { uid };
  }

  async addStake(
    wallet: Wallet,
    netuid: number,
    amount: number,
    options: { coldkey?: Signer | undefined } = {},
  ): Promise<void> {
    const params = { netuid, hotkey: wallet.hotkey, amount };
    const signer = options.coldkey ?? wallet;
    await this.#send(signer, checkCall({ method: 'addStake', params }), (state) =>
      addStakeCall(state, signer.address, params),
    );
  }

  async commit(
    wallet: Wallet,
    netuid: number,
    data: string,
    options: { blocksUntilReveal?: number | undefined } = {},
  ): Promise<CommitReceipt> {
    const params = { netuid, data, blocksUntilReveal: options.blocksUntilReveal };
    const context = await this.#context();
    const { block, memo } = await this.#send(wallet, checked({ method: 'commit', params }), (state) =>
      commitCall(state, wallet.hotkey, params, context),
    );
    return { committedAtBlock: block, expectedRevealBlock: block + memo.blocksUntilReveal };
  }

  async setWeights(
    wallet: Wallet,
    netuid: number,
    weights: Weight[],
    options: { versionKey?: number | undefined } = {},
  ): Promise<WeightsReceipt> {
    const params = { netuid, weights, versionKey: options.versionKey };
    const context = await this.#context();
    const included = await this.#send(wallet, checkCall({ method: 'setWeights', params }), async (state) => {
      const built = await setWeightsCall(state, wallet.hotkey, params, context);
      if (built.memo.kind === 'hash') this.#salts.add(built.memo.record);
      return built;
    });
    return this.#weightsReceipt(netuid, included);
  }

  async #weightsReceipt(netuid: number, { block, memo }: Included<SetWeightsMemo>): Promise<WeightsReceipt> {
    if (memo.kind === 'plain') return { kind: 'plain', setAtBlock: block };
    const clock = await epochClock(await this.#node.state(), netuid);
    const { first, last } = revealWindow(block, memo.kind === 'hash' ? 'hash' : memo.form, netuid, clock);
    if (memo.kind === 'hash') {
      return { kind: 'hash', committedAtBlock: block, revealFromBlock: first, revealUntilBlock: last };
    }
    return { kind: 'timelocked', committedAtBlock: block, revealRound: memo.revealRound, expectedRevealBlock: first };
  }

  /** Reveals in the order of the commits: the chain drops those before the one it is shown. */
  async revealWeights(wallet: Wallet, netuid: number): Promise<{ revealed: number }> {
    requireNetuid(netuid);
    const { hotkey } = wallet;
    const records = this.#salts.of(await this.#genesis(), hotkey, netuid);
    const state = await this.#node.state();
    if (records.length === 0) return { revealed: 0 };
    const commits = await hashCommits(state, netuid, await epochClock(state, netuid));
    let revealed = 0;
    for (const { hash, window } of commits.filter((commit) => commit.hotkey === hotkey)) {
      const record = records.find((candidate) => candidate.hash === hash);
      // The next block is the first that can hold the reveal.
      if (!record || window.first > state.block + 1) continue;
      if (window.last > state.block && (await this.#reveal(wallet, record))) revealed++;
      this.#salts.remove([hash]);
    }
    return { revealed };
  }

  /** False: its time has passed. */
  async #reveal(wallet: Wallet, record: SaltRecord): Promise<boolean> {
    const asked = { method: 'revealWeights', params: { hash: record.hash } };
    try {
      await this.#send(wallet, asked, async () => revealCall(record));
      return true;
    } catch (error) {
      // By the runtime's own word; an extrinsic that expired may be sent again.
      if (isNamed(error, 'ExpiredWeightCommit') || isNamed(error, 'NoWeightsCommitFound')) return false;
      throw error;
    }
  }

  async preview(address: string, call: Call): Promise<Preview> {
    ss58Decode(address);
    const asked = checked(call);
    const state = await this.#node.state();
    const built = await callOf(state, address, asked, await this.#context());
    if (!built) {
      throw new QuasarError('chain.already_registered', 'the hotkey is registered on this netuid already', {
        hint: 'nothing needs to be sent',
      });
    }
    return previewOf(state, address, built, await this.#genesis());
  }

  close(): void {
    this.#node.endpoints.close();
  }

  async #send<Memo>(
    signer: Signer,
    call: { method: string; params: unknown },
    build: (state: BlockState) => Promise<BuiltCall<Memo> | null>,
  ): Promise<Included<Memo>> {
    return this.#transactions.send(signer, canonicalJson(call), async () => {
      const state = await this.#node.state();
      const built = await build(state);
      if (!built) throw new NothingToDo();
      const name = `${built.pallet}.${built.name}`;
      return { name, call: state.runtime.encodeCall(built.pallet, built.name, built.args), memo: built.memo };
    });
  }

  async #context(): Promise<CallContext> {
    return { beacon: this.#beacon, commitReveal: this.#commitReveal, genesis: await this.#genesis() };
  }

  async #genesis(): Promise<string> {
    const { endpoints } = this.#node;
    if (endpoints.genesis === null) await this.#node.head();
    return endpoints.genesis ?? '';
  }

  /** The state of `block`, or of the head when that is older. */
  async #stateUpTo(block: number | undefined): Promise<BlockState> {
    if (block === undefined) return this.#node.state();
    requireBlock(block);
    const head = await this.#node.head();
    return block >= head.number ? this.#node.stateAt(head) : this.#node.state(block);
  }
}

type SetWeightsMemo = Awaited<ReturnType<typeof setWeightsCall>>['memo'];

/** There is no call to send: what was asked for is so already. */
class NothingToDo extends Error {}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof QuasarError && (error.data as { name?: unknown } | undefined)?.name === name;
}

/** The call, its shape checked; the delay of a commitment is this chain's own. */
function checked(call: Call): Call {
  if (call.method !== 'commit') return checkCall(call) as Call;
  const { blocksUntilReveal = 0, ...params } = call.params;
  checkCall({ method: 'commit', params });
  if (!Number.isSafeInteger(blocksUntilReveal) || blocksUntilReveal < 0) {
    throw new QuasarError('chain.invalid_call', `a delay is a number of blocks from 0, got ${blocksUntilReveal}`);
  }
  return call;
}

function requireNetuid(netuid: number): void {
  if (Number.isInteger(netuid) && netuid >= 0 && netuid <= 65535) return;
  throw new QuasarError('chain.invalid_call', `a netuid is an integer from 0 to 65535, got ${netuid}`);
}

function requireBlock(block: number): void {
  if (Number.isSafeInteger(block) && block >= 0) return;
  throw new QuasarError('chain.invalid_call', `a block is an integer from 0, got ${block}`);
}
