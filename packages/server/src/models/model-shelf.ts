/**
 * @file The models that answer: `base`, those of whoever serves, and the reigning `king` (also as `king@<revision>`).
 *
 * A king is swapped in whole: requests that run keep the engine they started on, and an engine is freed when it
 * was replaced and its last request has ended.
 */
import { ApiError } from '../openai/api-error.ts';
import type { TextEngine } from './text-engine.ts';

export interface KingIdentity {
  uid: number;
  repo: string;
  /** 40 hex. */
  revision: string;
  crownedAtBlock: number;
}

export interface ModelCard {
  id: string;
  /** Unix seconds at which it was put on the shelf. */
  createdUnix: number;
  king: KingIdentity | null;
}

/** An engine on loan to one request. Give it back with `release`, exactly once. */
export interface Loan {
  readonly engine: TextEngine;
  readonly id: string;
  readonly king: KingIdentity | null;
  /** Names the weights that answer; for `system_fingerprint`. */
  readonly fingerprint: string;
  release(): void;
}

interface Shelved {
  engine: TextEngine;
  king: KingIdentity | null;
  createdUnix: number;
  loans: number;
  replaced: boolean;
}

export class ModelShelf {
  /** `base` and what was put beside it, by id. */
  readonly #own = new Map<string, Shelved>();
  #king: Shelved | null = null;
  /** Set while a first king is on its way: the answer to `king` is then "loading", not "none". */
  kingIsLoading = false;
  baseIsLoading = false;

  get king(): KingIdentity | null {
    return this.#king?.king ?? null;
  }

  get hasBase(): boolean {
    return this.#own.has('base');
  }

  putBase(engine: TextEngine): void {
    this.putOwn('base', engine);
  }

  /** @param id neither `king` nor one that begins with `king@` */
  putOwn(id: string, engine: TextEngine): void {
    retire(this.#own.get(id) ?? null);
    this.#own.set(id, shelved(engine, null));
  }

  putKing(engine: TextEngine, king: KingIdentity): void {
    retire(this.#king);
    this.#king = shelved(engine, king);
  }

  removeKing(): void {
    retire(this.#king);
    this.#king = null;
  }

  list(): ModelCard[] {
    const cards: ModelCard[] = [];
    if (this.#king?.king) {
      const { king, createdUnix } = this.#king;
      cards.push({ id: 'king', createdUnix, king }, { id: `king@${king.revision}`, createdUnix, king });
    }
    for (const [id, { createdUnix }] of this.#own) cards.push({ id, createdUnix, king: null });
    return cards;
  }

  /**
   * @throws ApiError 404 `model_not_found`, 503 `no_king_yet`, 503 `model_loading`
   */
  borrow(id: string): Loan {
    const one = this.#find(id);
    one.loans++;
    let isOut = true;
    return {
      engine: one.engine,
      id,
      king: one.king,
      fingerprint: one.king ? `quasar-${one.king.revision.slice(0, 12)}` : `quasar-${id}`,
      release: () => {
        if (!isOut) return;
        isOut = false;
        one.loans--;
        disposeIfUnused(one);
      },
    };
  }

  /** Empties the shelf; engines on loan are freed when they come back. */
  close(): void {
    for (const one of this.#own.values()) retire(one);
    this.#own.clear();
    this.removeKing();
  }

  #find(id: string): Shelved {
    const king = this.#king;
    if (id === 'king') {
      if (king) return king;
      if (this.kingIsLoading) throw loading('The king is being loaded.');
      const other = this.hasBase ? ' Until one is crowned, the model `base` answers.' : '';
      throw new ApiError(503, {
        code: 'no_king_yet',
        type: 'server_error',
        param: 'model',
        message: `There is no king.${other}`,
        shouldRetry: false,
      });
    }
    if (king?.king && id === `king@${king.king.revision}`) return king;
    const own = this.#own.get(id);
    if (own) return own;
    if (id === 'base' && this.baseIsLoading) throw loading('The base model is being loaded.');
    const known = this.list().map((card) => `\`${card.id}\``);
    const hint = known.length === 0 ? 'No model is loaded.' : `Loaded: ${known.join(', ')}.`;
    throw new ApiError(404, {
      code: 'model_not_found',
      type: 'invalid_request_error',
      param: 'model',
      message: `The model \`${id.slice(0, 100)}\` does not exist here or no longer reigns. ${hint}`,
    });
  }
}

function shelved(engine: TextEngine, king: KingIdentity | null): Shelved {
  return { engine, king, createdUnix: Math.floor(Date.now() / 1000), loans: 0, replaced: false };
}

function retire(one: Shelved | null): void {
  if (!one) return;
  one.replaced = true;
  disposeIfUnused(one);
}

function disposeIfUnused(one: Shelved): void {
  if (one.replaced && one.loans === 0) one.engine.dispose();
}

function loading(message: string): ApiError {
  return new ApiError(503, { code: 'model_loading', type: 'server_error', param: 'model', message, retryAfterS: 2 });
}
