/**
 * @file What the nodes of a network know: heads, blocks, and the state of any block.
 *
 * "Final" is what the nodes have finalised and will never replace; everything the port reads is of a final block.
 */

import { blake2b } from '@noble/hashes/blake2.js';
import { sleep } from '@quasar/base';
import { toHex } from '../hex.ts';
import type { Head } from '../port.ts';
import type { Endpoints } from './endpoints.ts';
import { Runtime } from './runtime.ts';
import { blockNumberOf, garbled, isHex, RpcRefusal, type RpcSocket } from './socket.ts';
import { BlockState, stateRefused } from './state.ts';

/** Metadata version 15 as the argument of the runtime API: the first that describes runtime APIs. */
const METADATA_15 = '0x0f000000';
const MAX_RUNTIMES = 4;
const MAX_BLOCKS = 256;
const MAX_STATES = 64;

/** A block as it is searched for extrinsics. */
export interface Block {
  number: number;
  hash: string;
  parentHash: string;
  /** blake2b-256 of each extrinsic, `0x` hex, in order. */
  extrinsics: string[];
}

export class Node {
  readonly endpoints: Endpoints;
  readonly #runtimes = new Map<number, Promise<Runtime>>();
  readonly #blocks = new Map<string, Block>();
  readonly #runtimeOf = new Map<string, Promise<Runtime>>();
  readonly #waiting = new Set<() => void>();

  constructor(endpoints: Endpoints) {
    this.endpoints = endpoints;
    endpoints.onConnect((socket) => void this.#listen(socket));
    endpoints.closing.addEventListener('abort', () => this.#wake());
  }

  /** The newest final block. */
  async head(): Promise<Head> {
    return this.header(await this.#hash('chain_getFinalizedHead', []));
  }

  /** The newest block, which may be replaced. */
  async bestHead(): Promise<Head> {
    return this.header(await this.#hash('chain_getBlockHash', []));
  }

  async header(hash: string): Promise<Head & { parentHash: string }> {
    const header = (await this.#ask('chain_getHeader', [hash])) as { number?: unknown; parentHash?: unknown } | null;
    if (header === null) throw stateRefused(new RpcRefusal('chain_getHeader', 0, 'unknown block', null), -1);
    const number = blockNumberOf(header.number);
    if (number === null || !isHash(header.parentHash)) {
      throw garbled('a block header');
    }
    return { number, hash, parentHash: header.parentHash };
  }

  /** Hash of a block on the chain of the node's best block; null: not there (yet). */
  async hashOf(block: number): Promise<string | null> {
    const hash = await this.#ask('chain_getBlockHash', [block]);
    if (hash !== null && !isHash(hash)) throw garbled('a block hash');
    return hash;
  }

  async block(hash: string): Promise<Block> {
    const known = this.#blocks.get(hash);
    if (known) return known;
    const answer = (await this.#ask('chain_getBlock', [hash])) as {
      block?: { header?: unknown; extrinsics?: unknown };
    } | null;
    const header = answer?.block?.header as { number?: unknown; parentHash?: unknown } | undefined;
    const extrinsics = answer?.block?.extrinsics;
    const number = blockNumberOf(header?.number);
    if (number === null || !isHash(header?.parentHash) || !Array.isArray(extrinsics)) {
      throw answer === null
        ? stateRefused(new RpcRefusal('chain_getBlock', 0, 'unknown block', null), -1)
        : garbled('a block');
    }
    const block: Block = {
      number,
      hash,
      parentHash: header.parentHash,
      extrinsics: extrinsics.map((bytes) => {
        if (!isHex(bytes)) throw garbled('an extrinsic of a block');
        return extrinsicHash(Buffer.from(bytes.slice(2), 'hex'));
      }),
    };
    remember(this.#blocks, hash, block, MAX_BLOCKS);
    return block;
  }

  /** State of a final block; default the newest. Throws `chain.block_unavailable` for one that does not exist or was pruned. */
  async state(block?: number): Promise<BlockState> {
    const head = await this.head();
    if (block === undefined || block === head.number) return this.stateAt(head);
    const hash = block < head.number ? await this.hashOf(block) : null;
    if (hash === null) throw stateRefused(new RpcRefusal('chain_getBlockHash', 0, 'unknown block', null), block);
    return this.stateAt({ number: block, hash });
  }

  async stateAt({ number, hash }: Head): Promise<BlockState> {
    return new BlockState(this.endpoints, await this.#runtimeAt(hash, number), number, hash);
  }

  /** Resolves when a block came or `ms` passed, whichever is first; also on abort and on close. */
  async nextBlock(ms: number, signal?: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const wake = () => woken.abort();
    this.#waiting.add(wake);
    signal?.addEventListener('abort', wake, { once: true });
    if (signal?.aborted || this.endpoints.closing.aborted) wake();
    await sleep(ms, woken.signal);
    this.#waiting.delete(wake);
    signal?.removeEventListener('abort', wake);
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Notifications only shorten the wait; what they say is read from the node again. */
  async #listen(socket: RpcSocket): Promise<void> {
    const saw = (item: unknown) => {
      const number = blockNumberOf((item as { number?: unknown } | null)?.number);
      if (number !== null) this.endpoints.sawBlock(socket.url, number);
      this.#wake();
    };
    socket.onEnd(() => this.#wake());
    try {
      await Promise.all([
        socket.subscribe('chain_subscribeNewHeads', saw),
        socket.subscribe('chain_subscribeFinalizedHeads', () => this.#wake()),
      ]);
    } catch {
      // Without notifications the waits run out instead.
    }
  }

  #runtimeAt(hash: string, block: number): Promise<Runtime> {
    const known = this.#runtimeOf.get(hash);
    if (known) return known;
    const runtime = this.#loadRuntime(hash, block);
    remember(this.#runtimeOf, hash, runtime, MAX_STATES);
    runtime.catch(() => this.#runtimeOf.delete(hash));
    return runtime;
  }

  async #loadRuntime(hash: string, block: number): Promise<Runtime> {
    const answer = (await this.#ask('state_getRuntimeVersion', [hash], block)) as Record<string, unknown> | null;
    const { specName, specVersion, transactionVersion } = answer ?? {};
    if (typeof specName !== 'string' || typeof specVersion !== 'number' || typeof transactionVersion !== 'number') {
      throw garbled('the version of the runtime');
    }
    const known = this.#runtimes.get(specVersion);
    if (known) return known;
    const runtime = this.#metadata(hash, block).then(
      (metadata) => new Runtime(metadata, { specName, specVersion, transactionVersion }),
    );
    remember(this.#runtimes, specVersion, runtime, MAX_RUNTIMES);
    runtime.catch(() => this.#runtimes.delete(specVersion));
    return runtime;
  }

  async #metadata(hash: string, block: number): Promise<Uint8Array> {
    let answer: unknown;
    try {
      answer = await this.endpoints.read('state_call', ['Metadata_metadata_at_version', METADATA_15, hash]);
    } catch (error) {
      if (!(error instanceof RpcRefusal)) throw error;
    }
    if (typeof answer !== 'string' || answer.length <= 4) answer = await this.#ask('state_getMetadata', [hash], block);
    if (typeof answer !== 'string') throw garbled('the metadata');
    return new Uint8Array(Buffer.from(answer.slice(2), 'hex'));
  }

  async #hash(method: string, params: unknown[]): Promise<string> {
    const hash = await this.#ask(method, params);
    if (!isHash(hash)) throw garbled('the hash of the newest block');
    return hash;
  }

  async #ask(method: string, params: unknown[], block = -1): Promise<unknown> {
    try {
      return await this.endpoints.read(method, params);
    } catch (error) {
      throw error instanceof RpcRefusal ? stateRefused(error, block) : error;
    }
  }
}

/** How nodes name an extrinsic: blake2b-256 of its bytes, length in front included. */
export function extrinsicHash(bytes: Uint8Array): string {
  return toHex(blake2b(bytes, { dkLen: 32 }));
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^0x[0-9a-f]{64}$/.test(value);
}

function remember<K, V>(map: Map<K, V>, key: K, value: V, limit: number): void {
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= limit) return;
    map.delete(oldest);
  }
}
