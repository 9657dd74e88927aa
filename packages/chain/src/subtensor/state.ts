/** @file Reading the state of one block, with the runtime that the block has. */
import { QuasarError } from '@quasar/base';
import { toHex } from '../hex.ts';
import type { Endpoints } from './endpoints.ts';
import type { Runtime } from './runtime.ts';
import { garbled, isHex, RpcRefusal } from './socket.ts';

const KEYS_PER_PAGE = 500;
const VALUES_PER_REQUEST = 500;
/** A map with more entries than this is not read whole: no netuid has that many neurons. */
const MAX_ENTRIES = 100_000;

export class BlockState {
  readonly block: number;
  readonly hash: string;
  readonly runtime: Runtime;
  readonly #endpoints: Endpoints;

  constructor(endpoints: Endpoints, runtime: Runtime, block: number, hash: string) {
    this.#endpoints = endpoints;
    this.runtime = runtime;
    this.block = block;
    this.hash = hash;
  }

  /** The value, its default, or undefined. Throws `chain.call_missing`, `chain.protocol`, `chain.unreachable`. */
  async get<T>(pallet: string, entry: string, ...keys: unknown[]): Promise<T> {
    const storage = this.runtime.storage(pallet, entry);
    const answer = await this.#ask('state_getStorage', [storage.key(...keys), this.hash]);
    return this.#value(`${pallet}.${entry}`, storage, answer) as T;
  }

  /** Several values at once, in order. */
  async getMany<T extends unknown[]>(...wanted: [pallet: string, entry: string, ...keys: unknown[]][]): Promise<T> {
    const entries = wanted.map(([pallet, entry, ...keys]) => {
      const storage = this.runtime.storage(pallet, entry);
      return { name: `${pallet}.${entry}`, storage, key: storage.key(...keys) };
    });
    const values = await this.#values(entries.map(({ key }) => key));
    return entries.map(({ name, storage, key }) => this.#value(name, storage, values.get(key) ?? null)) as T;
  }

  /** As `get`, or `otherwise` when the runtime has no such entry. */
  async getIfKnown<T>(otherwise: T, pallet: string, entry: string, ...keys: unknown[]): Promise<T> {
    return this.runtime.hasStorage(pallet, entry) ? this.get<T>(pallet, entry, ...keys) : otherwise;
  }

  /** Every entry of a map under the given first keys, in the order of the trie. */
  async entries<T>(pallet: string, entry: string, ...firstKeys: unknown[]): Promise<{ keys: unknown[]; value: T }[]> {
    const storage = this.runtime.storage(pallet, entry);
    const name = `${pallet}.${entry}`;
    const keys = await this.#keysUnder(storage.key(...firstKeys), name);
    const values = await this.#values(keys);
    return keys.map((key) => ({
      keys: this.runtime.decode(
        { enc: () => new Uint8Array(), dec: (k) => storage.keysOf(String(k)) },
        key,
        name,
      ) as unknown[],
      value: this.#value(name, storage, values.get(key) ?? null) as T,
    }));
  }

  /** Calls a runtime API. */
  async call<T>(api: string, method: string, ...args: unknown[]): Promise<T> {
    return this.callRaw(api, method, this.runtime.api(api, method).args.enc(args));
  }

  /** As `call`, with arguments that are encoded already. */
  async callRaw<T>(api: string, method: string, args: Uint8Array): Promise<T> {
    const { value } = this.runtime.api(api, method);
    const answer = await this.#ask('state_call', [`${api}_${method}`, toHex(args), this.hash]);
    return this.runtime.decode(value, this.#hex(answer, `${api}.${method}`), `${api}.${method}`) as T;
  }

  async #keysUnder(prefix: string, name: string): Promise<string[]> {
    const keys: string[] = [];
    for (;;) {
      const answer = await this.#ask('state_getKeysPaged', [prefix, KEYS_PER_PAGE, keys.at(-1) ?? null, this.hash]);
      if (
        !Array.isArray(answer) ||
        answer.length > KEYS_PER_PAGE ||
        !answer.every((key) => typeof key === 'string' && key.startsWith(prefix))
      ) {
        throw garbled(`the keys of ${name}`);
      }
      if (answer.length > 0 && answer[0] <= (keys.at(-1) ?? '')) throw garbled(`the keys of ${name}`);
      keys.push(...answer);
      if (answer.length < KEYS_PER_PAGE) return keys;
      if (keys.length > MAX_ENTRIES) throw garbled(`${name} with more than ${MAX_ENTRIES} entries`);
    }
  }

  async #values(keys: readonly string[]): Promise<Map<string, unknown>> {
    const values = new Map<string, unknown>();
    for (let first = 0; first < keys.length; first += VALUES_PER_REQUEST) {
      const wanted = keys.slice(first, first + VALUES_PER_REQUEST);
      const answer = await this.#ask('state_queryStorageAt', [wanted, this.hash]);
      const changes = (Array.isArray(answer) ? answer[0] : null) as { changes?: unknown } | null | undefined;
      if (!Array.isArray(changes?.changes)) throw garbled('a set of stored values');
      for (const change of changes.changes) {
        if (!Array.isArray(change) || typeof change[0] !== 'string') throw garbled('a set of stored values');
        values.set(change[0], change[1]);
      }
    }
    return values;
  }

  #value(name: string, storage: ReturnType<Runtime['storage']>, answer: unknown): unknown {
    if (answer === null) return storage.fallback;
    return this.runtime.decode(storage.value, this.#hex(answer, name), name);
  }

  #hex(answer: unknown, what: string): string {
    if (isHex(answer)) return answer;
    throw garbled(what);
  }

  async #ask(method: string, params: unknown[]): Promise<unknown> {
    try {
      return await this.#endpoints.read(method, params);
    } catch (error) {
      if (error instanceof RpcRefusal) throw stateRefused(error, this.block);
      throw error;
    }
  }
}

/** What a refused read of a block's state means. */
export function stateRefused(error: RpcRefusal, block: number): QuasarError {
  if (/discarded|pruned|unknown block|not found|UnknownBlock/i.test(error.message)) {
    return new QuasarError('chain.block_unavailable', `the node no longer has (or does not yet have) block ${block}`, {
      hint: 'nodes keep the state of the newest 256 blocks only; older ones need the address of an archive node',
      retry: 'later',
      cause: error,
    });
  }
  return new QuasarError('chain.protocol', `the node refuses to read: ${error.message}`, { cause: error });
}
