/** @file Extrinsics that wait for their block, in order of arrival, and the promises of those who sent them. */
import { QuasarError } from '@quasar/base';
import type { CallResult } from './blocks.ts';
import type { Extrinsic } from './extrinsic.ts';

const MAX_PENDING = 8192;

export interface PendingEntry {
  extrinsic: Extrinsic;
  outcome: Promise<CallResult>;
  resolve(result: CallResult): void;
  reject(error: unknown): void;
}

export class PendingPool {
  readonly #entries = new Map<string, PendingEntry>();

  get size(): number {
    return this.#entries.size;
  }

  /** The waiting extrinsic with the same signer and nonce. */
  find(extrinsic: Extrinsic): PendingEntry | null {
    return this.#entries.get(keyOf(extrinsic)) ?? null;
  }

  /** Throws `chain.busy` when 8192 wait already. */
  add(extrinsic: Extrinsic): Promise<CallResult> {
    if (this.#entries.size >= MAX_PENDING) {
      throw new QuasarError('chain.busy', `${MAX_PENDING} extrinsics wait for a block already`, {
        retry: 'later',
        hint: 'send again after the next block',
      });
    }
    let resolve!: PendingEntry['resolve'];
    let reject!: PendingEntry['reject'];
    const outcome = new Promise<CallResult>((accept, refuse) => {
      resolve = accept;
      reject = refuse;
    });
    this.#entries.set(keyOf(extrinsic), { extrinsic, outcome, resolve, reject });
    return outcome;
  }

  /** Removes and returns the oldest entries. */
  take(limit: number): PendingEntry[] {
    const taken = [...this.#entries.values()].slice(0, limit);
    for (const entry of taken) this.#entries.delete(keyOf(entry.extrinsic));
    return taken;
  }

  rejectAll(error: QuasarError): void {
    for (const entry of this.take(MAX_PENDING)) entry.reject(error);
  }
}

function keyOf(extrinsic: Extrinsic): string {
  return `${extrinsic.signer}/${extrinsic.nonce}`;
}
