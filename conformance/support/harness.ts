/** @file What the groups need from the runtime beside the port: blocks, funds, sudo, storage, new subnets. */
import { inject } from 'vitest';
import { toHex } from '../../packages/chain/src/hex.ts';
import type { Wallet } from '../../packages/chain/src/port.ts';
import { ss58Encode } from '../../packages/chain/src/ss58.ts';
import { Endpoints } from '../../packages/chain/src/subtensor/endpoints.ts';
import { Node } from '../../packages/chain/src/subtensor/node.ts';
import type { Runtime } from '../../packages/chain/src/subtensor/runtime.ts';
import type { BlockState } from '../../packages/chain/src/subtensor/state.ts';
import { SubtensorChain, type SubtensorOptions } from '../../packages/chain/src/subtensor/subtensor-chain.ts';
import { type EventRecord, type Included, Transactions } from '../../packages/chain/src/subtensor/transactions.ts';
import { walletFromSeed } from '../../packages/chain/src/wallet/index.ts';

/** The public development account: sudo of the development chain, with a million TAO. */
const ALICE_SEED = 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a';
const RAO_PER_TAO = 1_000_000_000n;

/** A call with its arguments, to be encoded with the live metadata. */
export interface RawCall {
  pallet: string;
  name: string;
  args: Record<string, unknown>;
}

export type StorageItem = [pallet: string, entry: string, keys: unknown[], value: unknown];

const PALLET = 'SubtensorModule';
/** A busy machine may let the runtime wait for long. */
const PATIENCE_MS = 300_000;

export const sudoer: Wallet = walletFromSeed(Buffer.from(ALICE_SEED, 'hex'));

/** One runtime per worker: files of one worker follow each other on the same chain. */
function workersRuntime(): string {
  const urls = inject('runtimeUrls');
  return urls[(Number(process.env.VITEST_POOL_ID ?? 1) - 1) % urls.length] as string;
}

export class Harness {
  readonly url: string;
  readonly node: Node;
  readonly chain: SubtensorChain;
  readonly #transactions: Transactions;
  #wallets = 0;
  #calls = 0;

  constructor(options: Partial<SubtensorOptions> = {}, url: string = workersRuntime()) {
    this.url = url;
    this.node = new Node(new Endpoints([url], { genesis: null, specName: 'node-subtensor' }, PATIENCE_MS));
    this.#transactions = new Transactions(this.node);
    this.chain = new SubtensorChain({ urls: [url], patienceMs: PATIENCE_MS, ...options });
  }

  close(): void {
    this.node.endpoints.close();
    this.chain.close();
  }

  rpc(method: string, ...params: unknown[]): Promise<unknown> {
    return this.node.endpoints.once(method, params, { timeoutMs: PATIENCE_MS });
  }

  state(): Promise<BlockState> {
    return this.node.state();
  }

  /** Makes this many blocks. */
  async advance(blocks: number): Promise<void> {
    await this.rpc('dev_newBlock', { count: blocks });
  }

  async advanceTo(block: number): Promise<void> {
    const { number } = await this.node.head();
    if (block > number) await this.advance(block - number);
  }

  /** One block whose number is `block`: what waits for a height passes at once. */
  async jumpTo(block: number): Promise<void> {
    await this.rpc('dev_newBlock', { count: 1, unsafeBlockHeight: block });
  }

  /** Overwrites storage of the head. Values are SCALE bytes. */
  async write(...items: StorageItem[]): Promise<void> {
    const { runtime } = await this.state();
    const pairs = items.map(([pallet, entry, keys, value]) => {
      const storage = runtime.storage(pallet, entry);
      return [storage.key(...keys), toHex(storage.value.enc(value))];
    });
    await this.rpc('dev_setStorage', pairs);
  }

  /** Wallets with an account of their own and this many TAO. */
  async wallets(count: number, tao = 10_000n): Promise<Wallet[]> {
    const made = Array.from({ length: count }, () => {
      const seed = new Uint8Array(32).fill(7);
      new DataView(seed.buffer).setUint32(0, ++this.#wallets);
      new DataView(seed.buffer).setUint32(4, seedSpace(this));
      return walletFromSeed(seed);
    });
    const { runtime } = await this.state();
    const account = runtime.storage('System', 'Account');
    const value = (free: bigint) =>
      toHex(
        account.value.enc({
          ...(account.fallback as object),
          providers: 1,
          data: { ...(account.fallback as { data: object }).data, free },
        }),
      );
    await this.rpc(
      'dev_setStorage',
      made.map((wallet) => [account.key(wallet.address), value(tao * RAO_PER_TAO)]),
    );
    return made;
  }

  /** Signs, sends, and waits for the block. */
  send(signer: Wallet, call: RawCall): Promise<Included<null>> {
    return this.#transactions.send(signer, `conformance ${this.#calls++}`, async () => {
      const { runtime } = await this.state();
      return {
        name: `${call.pallet}.${call.name}`,
        call: runtime.encodeCall(call.pallet, call.name, call.args),
        memo: null,
      };
    });
  }

  /** All calls in one, as root. A call that fails as root is an error here. */
  async sudo(...calls: RawCall[]): Promise<void> {
    const { runtime } = await this.state();
    const { events } = await this.send(sudoer, sudoCall(runtime, calls));
    const sudid = events.find(({ pallet, name }) => pallet === 'Sudo' && name === 'Sudid');
    const result = (sudid?.value as { sudo_result?: { success?: boolean } } | undefined)?.sudo_result;
    if (result?.success !== true)
      throw new Error(`sudo: ${JSON.stringify(result, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`);
  }

  /** A subnet of its own, owned by the sudo account: started, open, plain weights without a rate limit. */
  async subnet(rules: Record<string, unknown> = {}): Promise<{ netuid: number; ownerHotkey: Wallet }> {
    const [ownerHotkey] = (await this.wallets(1)) as [Wallet];
    await this.write([PALLET, 'NetworkRateLimit', [], 0n]);
    const { events, block } = await this.send(sudoer, {
      pallet: PALLET,
      name: 'register_network',
      args: { hotkey: ownerHotkey.address },
    });
    const netuid = addedNetuid(events);
    await this.rules(netuid, {
      FirstEmissionBlockNumber: BigInt(block),
      SubtokenEnabled: true,
      WeightsSetRateLimit: 0n,
      MinAllowedWeights: 1,
      CommitRevealWeightsEnabled: false,
      MaxRegistrationsPerBlock: 100,
      TargetRegistrationsPerInterval: 1000,
      ServingRateLimit: 0n,
      Tempo: 360,
      ...rules,
    });
    return { netuid, ownerHotkey };
  }

  /** Sets rules where the runtime keeps them, by the names of its storage. */
  async rules(netuid: number, values: Record<string, unknown>): Promise<void> {
    await this.write(...Object.entries(values).map(([entry, value]): StorageItem => [PALLET, entry, [netuid], value]));
  }

  /** Sets rules through AdminUtils, by the name after `sudo_set_`. */
  async configure(netuid: number, rules: Record<string, unknown>): Promise<void> {
    const calls = Object.entries(rules).map(([rule, value]): RawCall => {
      const name = `sudo_set_${rule}`;
      return { pallet: 'AdminUtils', name, args: { netuid, [ARGUMENTS[rule] ?? rule]: value } };
    });
    await this.sudo(...calls);
  }
}

/** Where the argument is not called as its call. */
const ARGUMENTS: Record<string, string> = {
  commit_reveal_weights_enabled: 'enabled',
  commit_reveal_weights_interval: 'interval',
  yuma3_enabled: 'enabled',
};

let space = 0;
const spaces = new WeakMap<object, number>();

/** Harnesses of one file do not share wallets; files run one after another in processes of their own. */
function seedSpace(harness: Harness): number {
  const known = spaces.get(harness) ?? process.pid * 16 + space++;
  spaces.set(harness, known);
  return known;
}

function sudoCall(runtime: Runtime, calls: RawCall[]): RawCall {
  const inner = (call: RawCall) => runtime.decodeCall(runtime.encodeCall(call.pallet, call.name, call.args));
  const [only] = calls;
  const call =
    calls.length === 1 && only
      ? inner(only)
      : { type: 'Utility', value: { type: 'batch_all', value: { calls: calls.map(inner) } } };
  return { pallet: 'Sudo', name: 'sudo', args: { call } };
}

/** The netuid that `register_network` gave. */
export function addedNetuid(events: readonly EventRecord[]): number {
  const added = events.find(({ name }) => name === 'NetworkAdded')?.value;
  if (!Array.isArray(added)) throw new Error('no network was added');
  return Number(added[0]);
}

/** A random-looking account that nobody has the key of. */
export function strangerAddress(n: number): string {
  return ss58Encode(new Uint8Array(32).fill(n));
}
