/**
 * @file Writes: one extrinsic per call, sent until it is in a final block or cannot be in one any more.
 *
 * An extrinsic is signed once. When a connection breaks while it is under way, it may or may not have arrived: it is looked
 * for in every block since its birth, and only these same bytes are sent again, while their era lasts. Its nonce makes it
 * count at most once. A write that ends with `chain.unreachable` is remembered by this connection, and the same call goes on
 * with the same bytes; after a restart of the caller, read the chain before repeating a write.
 */
import { QuasarError } from '@quasar/base';
import { toHex } from '../hex.ts';
import type { Head, Signer } from '../port.ts';
import { signExtrinsic } from './extrinsic.ts';
import { type Block, extrinsicHash, type Node } from './node.ts';
import { dispatchRefusal, poolVerdict } from './refusals.ts';
import { RpcRefusal } from './socket.ts';

/** Fresh signatures for a nonce that somebody else used first. */
const MAX_SIGNINGS = 3;
/** Sent again when it is in no block after this many. */
const RESEND_AFTER_BLOCKS = 3;
const POLL_MS = 6_000;
const OFFER_AGAIN_MS = 500;
const LIFETIME_BLOCKS = 64;

export interface EventRecord {
  pallet: string;
  name: string;
  value: unknown;
}

/** Where a write took effect. */
export interface Included<Memo> {
  block: number;
  hash: string;
  events: EventRecord[];
  memo: Memo;
}

/** A call to sign; `memo` is what its receipt needs to know. */
export interface Built<Memo> {
  /** `pallet.call`, for messages. */
  name: string;
  call: Uint8Array;
  memo: Memo;
}

interface Pending {
  name: string;
  memo: unknown;
  bytes: Uint8Array;
  hash: string;
  birth: Head;
  /** The last block that can hold it. */
  lastBlock: number;
  address: string;
  nonce: number;
  /** Final blocks up to this one do not hold it. */
  searchedBlock: number;
  sentAtBlock: number;
  /** A node said that it has it. */
  isAccepted: boolean;
  /** The best block in which it was last seen. */
  seenIn: Head | null;
  /** It was in a block that was replaced. */
  wasReplaced: boolean;
  /** The pool will not take it (again); it is in a block up to `block` or in none. */
  verdict: { error: QuasarError; block: number } | null;
  /** It is known whether a final block holds it. */
  isSettled: boolean;
}

export class Transactions {
  readonly #node: Node;
  readonly #lifetimeBlocks: number;
  readonly #nonces = new Map<string, Set<number>>();
  readonly #locks = new Map<string, Promise<unknown>>();
  /** Writes that ended without an answer, by what was asked. */
  readonly #unresolved = new Map<string, Pending>();

  /** @param lifetimeBlocks how long an extrinsic is good; a power of two from 4 to 4096 */
  constructor(node: Node, lifetimeBlocks: number = LIFETIME_BLOCKS) {
    this.#node = node;
    this.#lifetimeBlocks = lifetimeBlocks;
  }

  /**
   * Signs and sends what `build` makes, and waits until it is in a final block.
   * Throws what the chain refuses, `chain.expired` or `chain.reorganised` when it is in no block and cannot be any more,
   * `chain.unreachable` when nobody answers: then the same `key` continues with the same bytes.
   * @param key what is asked for, the same for the same write
   */
  async send<Memo>(signer: Signer, key: string, build: () => Promise<Built<Memo>>): Promise<Included<Memo>> {
    const name = `${signer.address} ${key}`;
    for (let signings = 1; ; signings++) {
      let pending = this.#unresolved.get(name) ?? null;
      this.#unresolved.delete(name);
      try {
        pending ??= await this.#start(signer, build);
        return (await this.#watch(pending)) as Included<Memo>;
      } catch (error) {
        if (pending && !pending.isSettled) this.#unresolved.set(name, pending);
        const code = error instanceof QuasarError ? error.code : '';
        if (code !== 'chain.nonce_reused' || signings >= MAX_SIGNINGS) throw error;
      } finally {
        if (pending?.isSettled) this.#release(pending);
      }
    }
  }

  /** Signs with a nonce of its own and offers the bytes to a node for the first time. One at a time per address. */
  #start(signer: Signer, build: () => Promise<Built<unknown>>): Promise<Pending> {
    return this.#locked(signer.address, async () => {
      const birth = await this.#node.head();
      const { runtime } = await this.#node.stateAt(birth);
      const { name, call, memo } = await build();
      const genesis = this.#node.endpoints.genesis ?? '';
      await this.#settleOlder(signer.address, birth);
      const nonce = await this.#reserve(signer.address);
      try {
        const bytes = await signExtrinsic(signer, call, {
          runtime,
          genesis,
          nonce,
          birth,
          lifetimeBlocks: this.#lifetimeBlocks,
        });
        const pending: Pending = {
          name,
          memo,
          bytes,
          hash: extrinsicHash(bytes),
          birth,
          lastBlock: birth.number + this.#lifetimeBlocks - 1,
          address: signer.address,
          nonce,
          searchedBlock: birth.number,
          sentAtBlock: birth.number,
          isAccepted: false,
          seenIn: null,
          wasReplaced: false,
          verdict: null,
          isSettled: false,
        };
        await this.#offer(pending, birth.number);
        // Never in a pool: nothing to look for.
        const refused = pending.verdict as Pending['verdict'];
        if (refused) throw refused.error;
        return pending;
      } catch (error) {
        this.#nonces.get(signer.address)?.delete(nonce);
        throw error;
      }
    });
  }

  /** A later nonce waits for the earlier ones: those under way without an answer are offered again while they can count. */
  async #settleOlder(address: string, final: Head): Promise<void> {
    for (const pending of this.#unresolved.values()) {
      if (pending.address !== address) continue;
      if (final.number >= pending.lastBlock) this.#release(pending);
      else await this.#offer(pending, final.number);
    }
  }

  async #watch(pending: Pending): Promise<Included<unknown>> {
    for (;;) {
      if (this.#node.endpoints.closing.aborted)
        throw new QuasarError('chain.closed', 'the chain was closed while a write was under way');
      const final = await this.#node.head();
      const found = await this.#search(pending, final);
      if (found) return await this.#outcome(pending, found);
      this.#requirePossible(pending);
      const best = await this.#node.bestHead();
      const seen = await this.#isOnBestChain(pending, best, final);
      const isOverdue =
        !pending.isAccepted || pending.wasReplaced || best.number >= pending.sentAtBlock + RESEND_AFTER_BLOCKS;
      if (!seen && !pending.verdict && isOverdue) await this.#offer(pending, best.number);
      await this.#node.nextBlock(pending.isAccepted ? POLL_MS : OFFER_AGAIN_MS);
    }
  }

  /** Gives the bytes to a node. A lost answer leaves everything open: the search of the blocks decides. */
  async #offer(pending: Pending, bestBlock: number): Promise<void> {
    pending.sentAtBlock = bestBlock;
    pending.isAccepted = false;
    try {
      await this.#node.endpoints.once('author_submitExtrinsic', [toHex(pending.bytes)]);
      pending.isAccepted = true;
    } catch (error) {
      if (error instanceof RpcRefusal) {
        const verdict = poolVerdict(error, pending.name);
        pending.isAccepted = verdict.kind === 'known';
        if (verdict.kind === 'known' || verdict.kind === 'too_old') return;
        // What the node judged by may already be newer than what was seen before.
        const block = (await this.#node.bestHead()).number;
        const used = () =>
          new QuasarError(
            'chain.nonce_reused',
            `nonce ${pending.nonce} of ${pending.address} was used by another call`,
            {
              hint: 'does another program sign with the same key? repeat the call',
              retry: 'later',
            },
          );
        pending.verdict = { error: verdict.kind === 'refused' ? verdict.error : used(), block };
        return;
      }
      if (!(error instanceof QuasarError) || error.code === 'chain.wrong_network') throw error;
    }
  }

  /** Searches the final blocks that were not searched yet. */
  async #search(pending: Pending, final: Head): Promise<{ block: Block; index: number } | null> {
    const last = Math.min(final.number, pending.lastBlock);
    while (pending.searchedBlock < last) {
      const number = pending.searchedBlock + 1;
      const hash = number === final.number ? final.hash : await this.#node.hashOf(number);
      // A node behind the one that was asked before: its blocks come.
      if (hash === null) return null;
      const block = await this.#node.block(hash);
      const index = block.extrinsics.indexOf(pending.hash);
      if (index >= 0) return { block, index };
      pending.searchedBlock = number;
    }
    return null;
  }

  /** Whether a block after the final one holds it. */
  async #isOnBestChain(pending: Pending, best: Head, final: Head): Promise<boolean> {
    let number = Math.min(best.number, pending.lastBlock);
    let hash = number === best.number ? best.hash : await this.#node.hashOf(number);
    for (; hash !== null && number > final.number; number--) {
      const block = await this.#node.block(hash);
      if (block.extrinsics.includes(pending.hash)) {
        pending.seenIn = { number, hash };
        pending.wasReplaced = false;
        return true;
      }
      hash = block.parentHash;
    }
    if (pending.seenIn) pending.wasReplaced = true;
    pending.seenIn = null;
    return false;
  }

  /** Throws once no block can hold it any more: every block that could was searched. */
  #requirePossible(pending: Pending): void {
    const { verdict, searchedBlock } = pending;
    const isRefused = verdict !== null && searchedBlock >= verdict.block;
    if (!isRefused && searchedBlock < pending.lastBlock) return;
    pending.isSettled = true;
    if (isRefused) throw verdict.error;
    const [code, why] = pending.wasReplaced
      ? ['chain.reorganised', `the block that held ${pending.name} was replaced, and no other took it`]
      : ['chain.expired', `no block took ${pending.name} before its era ended`];
    throw new QuasarError(code, why, {
      hint: 'the write did not take effect; repeat it. are blocks being made?',
      retry: 'later',
      data: { hash: pending.hash },
    });
  }

  async #outcome(pending: Pending, { block, index }: { block: Block; index: number }): Promise<Included<unknown>> {
    const state = await this.#node.stateAt(block);
    const records = await state.get<unknown[]>('System', 'Events');
    const events = records.flatMap((record) => eventOf(record, index));
    pending.isSettled = true;
    const failed = events.find(({ pallet, name }) => pallet === 'System' && name === 'ExtrinsicFailed');
    if (failed) {
      throw dispatchRefusal((failed.value as { dispatch_error?: unknown } | undefined)?.dispatch_error, pending.name);
    }
    if (!events.some(({ pallet, name }) => pallet === 'System' && name === 'ExtrinsicSuccess')) {
      throw new QuasarError('chain.protocol', `block ${block.number} does not tell what became of ${pending.name}`, {
        hint: 'read the chain before repeating the write',
      });
    }
    return { block: block.number, hash: block.hash, events, memo: pending.memo };
  }

  /** The lowest nonce that neither the chain, nor the pool, nor a write under way has. */
  async #reserve(address: string): Promise<number> {
    const next = await this.#node.endpoints.read('system_accountNextIndex', [address]);
    if (typeof next !== 'number' || !Number.isSafeInteger(next) || next < 0 || next > 0xffffffff) {
      throw new QuasarError('chain.protocol', "the node's answer for the nonce is malformed");
    }
    const taken = this.#nonces.get(address) ?? new Set();
    this.#nonces.set(address, taken);
    let nonce = next;
    while (taken.has(nonce)) nonce++;
    taken.add(nonce);
    return nonce;
  }

  #release({ address, nonce }: Pending): void {
    this.#nonces.get(address)?.delete(nonce);
  }

  #locked<T>(address: string, action: () => Promise<T>): Promise<T> {
    const before = this.#locks.get(address) ?? Promise.resolve();
    const run = before.then(action, action);
    this.#locks.set(
      address,
      run.catch(() => {}),
    );
    return run;
  }
}

function eventOf(record: unknown, index: number): EventRecord[] {
  const { phase, event } = record as {
    phase?: { type?: string; value?: unknown };
    event?: { type?: string; value?: { type?: string; value?: unknown } };
  };
  if (phase?.type !== 'ApplyExtrinsic' || phase.value !== index) return [];
  return [{ pallet: event?.type ?? '', name: event?.value?.type ?? '', value: event?.value?.value }];
}
