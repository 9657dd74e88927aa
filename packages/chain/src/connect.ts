/** @file Any chain by its address: a named network, nodes of one, or a dev chain. */
import { QuasarError, sleep } from '@quasar/base';
import { connectChain as connectDevChain } from './dev/client.ts';
import type { Call, Chain, Head, RegisterOptions, Signer, Wallet, Weight } from './port.ts';
import { RpcRefusal, RpcSocket } from './subtensor/socket.ts';
import { SubtensorChain, type SubtensorOptions } from './subtensor/subtensor-chain.ts';

/** Networks by name. A genesis hash given here must be that of every node. */
export const NETWORKS: Readonly<Record<string, { urls: readonly string[]; genesis?: string }>> = {
  finney: {
    urls: ['wss://entrypoint-finney.opentensor.ai:443'],
    genesis: '0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03',
  },
  test: {
    urls: ['wss://test.finney.opentensor.ai:443'],
    genesis: '0x8f9cf856bf558a14440e75569c9e58594757048d7b3a84b5d25f6bd978263105',
  },
  local: { urls: ['ws://127.0.0.1:9944'] },
};

export type ConnectOptions = Omit<SubtensorOptions, 'urls' | 'network'>;

const ASK_TIMEOUT_MS = 10_000;
const ASK_AGAIN_MS = 1_000;

/**
 * Connects on first use. Whether a node or a dev chain answers at a single `ws://` address is found out by asking.
 * Throws `chain.invalid_options` for what is no address.
 * @param address `finney`, `test`, `local`, one `ws://` or `wss://` address, or several of one network with commas between
 */
export function connectChain(address: string, options: ConnectOptions = {}): Chain {
  const network = Object.hasOwn(NETWORKS, address) ? NETWORKS[address] : undefined;
  if (network) return new SubtensorChain({ ...network, ...options, network: address });
  const urls = address.split(',').map((url) => url.trim());
  if (urls.length > 1) return new SubtensorChain({ ...options, urls });
  return new AskedChain(address, connectDevChain(address, options), options);
}

/** A dev chain or a node: whichever answers when it is first used. */
class AskedChain implements Chain {
  readonly #url: string;
  readonly #dev: Chain;
  readonly #options: ConnectOptions;
  readonly #closing = new AbortController();
  #known: Chain | null = null;
  #asking: Promise<Chain | null> | null = null;

  constructor(url: string, dev: Chain, options: ConnectOptions) {
    this.#url = url;
    this.#dev = dev;
    this.#options = options;
  }

  identity = () => this.#ask((chain) => chain.identity());
  head = () => this.#ask((chain) => chain.head());
  bestHead = () => this.#ask((chain) => chain.bestHead());
  blockHash = (block: number) => this.#ask((chain) => chain.blockHash(block));
  blockTimeMs = () => this.#ask((chain) => chain.blockTimeMs());
  metagraph = (netuid: number, atBlock?: number) => this.#ask((chain) => chain.metagraph(netuid, atBlock));
  hyperparameters = (netuid: number) => this.#ask((chain) => chain.hyperparameters(netuid));
  nextEpochBlock = (netuid: number) => this.#ask((chain) => chain.nextEpochBlock(netuid));
  registrationCost = (netuid: number) => this.#ask((chain) => chain.registrationCost(netuid));
  balance = (address: string) => this.#ask((chain) => chain.balance(address));
  commitments = (netuid: number, atBlock: number) => this.#ask((chain) => chain.commitments(netuid, atBlock));
  weights = (netuid: number, atBlock: number) => this.#ask((chain) => chain.weights(netuid, atBlock));
  pendingWeights = (netuid: number) => this.#ask((chain) => chain.pendingWeights(netuid));
  revealWeights = (wallet: Wallet, netuid: number) => this.#ask((chain) => chain.revealWeights(wallet, netuid));
  preview = (address: string, call: Call) => this.#ask((chain) => chain.preview(address, call));
  register = (wallet: Wallet, netuid: number, options?: RegisterOptions) =>
    this.#ask((chain) => chain.register(wallet, netuid, options));
  addStake = (wallet: Wallet, netuid: number, amount: number, options?: { coldkey?: Signer | undefined }) =>
    this.#ask((chain) => chain.addStake(wallet, netuid, amount, options));
  commit = (wallet: Wallet, netuid: number, data: string, options?: { blocksUntilReveal?: number | undefined }) =>
    this.#ask((chain) => chain.commit(wallet, netuid, data, options));
  setWeights = (wallet: Wallet, netuid: number, weights: Weight[], options?: { versionKey?: number | undefined }) =>
    this.#ask((chain) => chain.setWeights(wallet, netuid, weights, options));

  async *heads(signal: AbortSignal): AsyncIterable<Head> {
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    while (!stop.aborted) {
      const chain = await this.#found();
      if (chain) {
        yield* chain.heads(signal);
        return;
      }
      await sleep(ASK_AGAIN_MS, stop);
    }
  }

  close(): void | Promise<void> {
    this.#closing.abort();
    void this.#dev.close();
    if (this.#known !== this.#dev) return this.#known?.close();
  }

  /** While nothing answers, the dev chain's client says why. */
  async #ask<T>(question: (chain: Chain) => Promise<T>): Promise<T> {
    return question((await this.#found()) ?? this.#dev);
  }

  /** Null: nothing answers now. */
  async #found(): Promise<Chain | null> {
    if (this.#known || this.#closing.signal.aborted) return this.#known;
    this.#asking ??= this.#find().finally(() => {
      this.#asking = null;
    });
    this.#known = await this.#asking;
    return this.#known;
  }

  /** Only a node knows this method. */
  async #find(): Promise<Chain | null> {
    let socket: RpcSocket | null = null;
    const options = { timeoutMs: ASK_TIMEOUT_MS, signal: this.#closing.signal };
    try {
      socket = await RpcSocket.connect(this.#url, options);
      await socket.request('chain_getBlockHash', [0], options);
      return new SubtensorChain({ ...this.#options, urls: [this.#url] });
    } catch (error) {
      if (error instanceof RpcRefusal) return this.#dev;
      if (error instanceof QuasarError) return null;
      throw error;
    } finally {
      socket?.close();
    }
  }
}
