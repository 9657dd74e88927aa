/**
 * @file The chain of blocks: pending extrinsics in, one durable block per transaction out.
 *
 * hash(n) = sha256(canonicalJson({secret, parent: hash(n-1), number: n, extrinsics})). The 32-byte secret is drawn when the
 * chain is created and never leaves the file, so nobody can compute the hash of a block before it is produced.
 */
import { randomBytes } from 'node:crypto';
import { canonicalJson, QuasarError, sha256Hex } from '@quasar/base';
import type Database from 'libsql';
import type { Head } from '../port.ts';
import type { CallMethod, CallResults } from './call.ts';
import type { Extrinsic } from './extrinsic.ts';
import type { Ledger } from './ledger.ts';
import type { Queries } from './queries.ts';
import type { State } from './state.ts';

export type CallResult = CallResults[CallMethod];
export type Outcome = { ok: true; result: CallResult } | { ok: false; error: QuasarError };

export interface SealedBlocks {
  /** The newest. Null: nothing was accepted and an empty block was not wanted. */
  head: Head | null;
  /** One per extrinsic, in order. */
  outcomes: Outcome[];
}

export class Blocks {
  readonly genesis: string;
  readonly #sql: Database.Database;
  readonly #state: State;
  readonly #ledger: Ledger;
  /** 32 bytes, hex. Whoever has it knows every hash and every pulse in advance. */
  readonly secret: string;
  readonly #statements;
  #head: Head;

  constructor(sql: Database.Database, queries: Queries, state: State, ledger: Ledger) {
    this.#sql = sql;
    this.#state = state;
    this.#ledger = ledger;
    if (queries.lastHead() === null) createGenesis(sql);
    this.secret = (sql.prepare("SELECT value FROM meta WHERE key = 'secret'").get([]) as { value: string }).value;
    this.genesis = queries.hash(0) as string;
    this.#head = Object.freeze(queries.lastHead() as Head);
    this.#statements = {
      block: sql.prepare('INSERT INTO blocks VALUES (?, ?)'),
      extrinsic: sql.prepare('INSERT INTO extrinsics VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
      included: sql.prepare('SELECT call, result FROM extrinsics WHERE signer = ? AND nonce = ?'),
    };
  }

  get head(): Head {
    return this.#head;
  }

  /** The result of an extrinsic that is already in a block, or null. Throws `chain.nonce_reused` for another call. */
  included(extrinsic: Extrinsic): CallResult | null {
    const row = this.#statements.included.get([extrinsic.signer, extrinsic.nonce]) as
      | { call: string; result: string }
      | undefined;
    if (row === undefined) return null;
    if (row.call !== canonicalJson(extrinsic.call)) throw nonceReused(extrinsic);
    return JSON.parse(row.result);
  }

  /**
   * Builds the next `count` blocks in one transaction: what is due at the start of each, and what the rules accept of
   * `extrinsics` in the first. Reports only when they are durable. On a storage failure nothing of them exists and
   * `chain.storage_failed` is thrown.
   */
  seal(extrinsics: readonly Extrinsic[], options: { allowEmpty: boolean; count?: number }): SealedBlocks {
    const outcomes: Outcome[] = [];
    let head = this.#head;
    try {
      this.#sql.exec('BEGIN IMMEDIATE');
      for (let left = options.count ?? 1; left > 0; left--) {
        const number = head.number + 1;
        this.#ledger.begin(number);
        const accepted = outcomes.length === 0 ? this.#applyAll(extrinsics, number, outcomes) : [];
        if (accepted.length === 0 && !options.allowEmpty) {
          this.#sql.exec('ROLLBACK');
          // An epoch may have run in memory for a block that is not made.
          if (this.#state.isDirty) this.#state.load();
          return { head: null, outcomes };
        }
        this.#state.flush(number);
        const hash = hashOf({ secret: this.secret, parent: head.hash, number, extrinsics: accepted });
        this.#statements.block.run([number, hash]);
        head = Object.freeze({ number, hash });
      }
      this.#sql.exec('COMMIT');
      this.#head = head;
      return { head, outcomes };
    } catch (cause) {
      if (this.#sql.inTransaction) this.#sql.exec('ROLLBACK');
      this.#state.load();
      const message = `block ${head.number + 1} could not be written and does not exist: ${(cause as Error).message}`;
      throw new QuasarError('chain.storage_failed', message, {
        hint: 'check the free space and the permissions of the chain file',
        retry: 'later',
        cause,
      });
    }
  }

  #applyAll(extrinsics: readonly Extrinsic[], number: number, outcomes: Outcome[]): Extrinsic[] {
    const accepted: Extrinsic[] = [];
    for (const extrinsic of extrinsics) {
      const outcome = this.#apply(extrinsic, number, accepted.length);
      if (outcome.ok) accepted.push(extrinsic);
      outcomes.push(outcome);
    }
    return accepted;
  }

  #apply(extrinsic: Extrinsic, number: number, position: number): Outcome {
    const { signer, nonce, atBlock, signature, call } = extrinsic;
    try {
      const result = this.#ledger.plan(signer, call, number)();
      const row = [signer, nonce, number, position, atBlock, canonicalJson(call), signature, JSON.stringify(result)];
      this.#statements.extrinsic.run(row);
      return { ok: true, result };
    } catch (error) {
      if (error instanceof QuasarError) return { ok: false, error };
      throw error;
    }
  }
}

export function nonceReused(extrinsic: Extrinsic): QuasarError {
  return new QuasarError('chain.nonce_reused', `${extrinsic.signer} used nonce ${extrinsic.nonce} for another call`, {
    hint: 'draw a fresh random nonce for every call',
  });
}

function createGenesis(sql: Database.Database): void {
  const secret = randomBytes(32).toString('hex');
  sql.exec('BEGIN IMMEDIATE');
  sql.prepare("INSERT INTO meta VALUES ('secret', ?)").run([secret]);
  sql.prepare('INSERT INTO blocks VALUES (0, ?)').run([hashOf({ secret, number: 0 })]);
  sql.exec('COMMIT');
}

function hashOf(content: unknown): string {
  return `0x${sha256Hex(canonicalJson(content))}`;
}
