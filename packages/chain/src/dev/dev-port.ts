/** @file The chain port in terms of two things: asking for a read, and sending a signed call. Both ends of the wire share it. */
import { randomInt } from 'node:crypto';
import { canonicalJson, QuasarError } from '@quasar/base';
import { fromHex, toHex } from '../hex.ts';
import type {
  Chain,
  ChainIdentity,
  Commitment,
  CommitReceipt,
  Head,
  Hyperparameters,
  Metagraph,
  PendingWeights,
  Call as PortCall,
  Preview,
  RegisterOptions,
  Signer,
  Wallet,
  Weight,
  WeightRow,
  WeightsReceipt,
} from '../port.ts';
import type { SaltRecord, Salts } from '../salts.ts';
import {
  commitHash,
  encodeTimelockedText,
  encodeWeightsPayload,
  netuidIndex,
  revealBlocks,
  timelockEncrypt,
} from '../timelock/index.ts';
import { upscaleToU16 } from '../weights.ts';
import { type Call, type CallMethod, type CallResults, checkCall } from './call.ts';
import type { Request, RequestParams, RequestResults, WeightsPlan } from './requests.ts';

interface BuiltCall {
  call: Call;
  /** What must be kept to reveal it. */
  salted: SaltRecord | null;
}

/** u16 numbers. */
const SALT_LENGTH = 8;

export abstract class DevPort implements Chain {
  readonly #salts: Salts;
  /** Calls whose answer was lost, by what they are for. */
  readonly #unresolved = new Map<string, BuiltCall>();
  #knownBeacon: RequestResults['beacon'] | null = null;

  /** @param salts where what was committed by hash is kept until its reveal */
  constructor(salts: Salts) {
    this.#salts = salts;
  }

  protected abstract ask<R extends Request>(request: R, params: RequestParams[R]): Promise<RequestResults[R]>;
  /** Resolves when the block of the call is durable. */
  protected abstract send<M extends CallMethod>(signer: Signer, call: Call & { method: M }): Promise<CallResults[M]>;
  abstract heads(signal: AbortSignal): AsyncIterable<Head>;
  abstract close(): Promise<void> | void;

  async identity(): Promise<ChainIdentity> {
    return this.ask('identity', {});
  }

  async head(): Promise<Head> {
    return this.ask('head', {});
  }

  /** A block of the dev chain is final at once. */
  async bestHead(): Promise<Head> {
    return this.head();
  }

  async blockHash(block: number): Promise<string | null> {
    return this.ask('blockHash', { block });
  }

  async blockTimeMs(): Promise<number> {
    return this.ask('blockTimeMs', {});
  }

  async metagraph(netuid: number, atBlock?: number): Promise<Metagraph> {
    return this.ask('metagraph', { netuid, atBlock });
  }

  async hyperparameters(netuid: number): Promise<Hyperparameters> {
    return this.ask('hyperparameters', { netuid });
  }

  async nextEpochBlock(netuid: number): Promise<number> {
    return this.ask('nextEpochBlock', { netuid });
  }

  async registrationCost(netuid: number): Promise<number> {
    return this.ask('registrationCost', { netuid });
  }

  async balance(address: string): Promise<number> {
    return this.ask('balance', { address });
  }

  async commitments(netuid: number, atBlock: number): Promise<Commitment[]> {
    return this.ask('commitments', { netuid, atBlock });
  }

  async weights(netuid: number, atBlock: number): Promise<WeightRow[]> {
    return this.ask('weights', { netuid, atBlock });
  }

  async pendingWeights(netuid: number): Promise<PendingWeights[]> {
    return this.ask('pendingWeights', { netuid });
  }

  async register(wallet: Wallet, netuid: number, options: RegisterOptions = {}): Promise<{ uid: number }> {
    const { hotkey } = wallet;
    return this.send(options.coldkey ?? wallet, {
      method: 'register',
      params: { netuid, hotkey, ...(options.maxCost === undefined ? {} : { maxCost: options.maxCost }) },
    });
  }

  async addStake(wallet: Wallet, netuid: number, amount: number, options: { coldkey?: Signer | undefined } = {}) {
    const { hotkey } = wallet;
    await this.send(options.coldkey ?? wallet, { method: 'addStake', params: { netuid, hotkey, amount } });
  }

  async commit(
    wallet: Wallet,
    netuid: number,
    data: string,
    options: { blocksUntilReveal?: number | undefined } = {},
  ): Promise<CommitReceipt> {
    const key = canonicalJson({ commit: wallet.hotkey, netuid, data, ...options });
    return this.#sendBuilt(wallet, key, async () => ({
      call: await this.#commitCall(netuid, data, options.blocksUntilReveal),
      salted: null,
    })) as Promise<CommitReceipt>;
  }

  async setWeights(
    wallet: Wallet,
    netuid: number,
    weights: Weight[],
    options: { versionKey?: number | undefined } = {},
  ): Promise<WeightsReceipt> {
    const key = canonicalJson({ setWeights: wallet.hotkey, netuid, weights, ...options });
    const build = () => this.#weightsCall(wallet.hotkey, netuid, weights, options.versionKey);
    return this.#sendBuilt(wallet, key, build) as Promise<WeightsReceipt>;
  }

  async revealWeights(wallet: Wallet, netuid: number): Promise<{ revealed: number }> {
    const { genesis } = await this.identity();
    let revealed = 0;
    for (const { hash, uids, values, salt, versionKey } of this.#salts.of(genesis, wallet.hotkey, netuid)) {
      try {
        await this.send(wallet, { method: 'revealWeights', params: { netuid, uids, values, salt, versionKey } });
        revealed++;
      } catch (error) {
        if (!(error instanceof QuasarError) || error.retry === 'later') {
          if ((error as QuasarError).code === 'chain.too_soon') continue;
          throw error;
        }
        if (error.code !== 'chain.refused') throw error;
      }
      this.#salts.remove([hash]);
    }
    return { revealed };
  }

  async preview(address: string, call: PortCall): Promise<Preview> {
    return this.ask('preview', { address, call: await this.#devCall(address, call) });
  }

  /** What hides something is built with fresh randomness: a repetition after a lost answer must send the same bytes again. */
  async #sendBuilt(wallet: Wallet, key: string, build: () => Promise<BuiltCall>): Promise<unknown> {
    let built = this.#unresolved.get(key);
    this.#unresolved.delete(key);
    if (!built) {
      built = await build();
      if (built.salted) this.#salts.add(built.salted);
    }
    try {
      return await this.send(wallet, built.call);
    } catch (error) {
      const isLost = error instanceof QuasarError && error.code === 'chain.unreachable';
      if (isLost) this.#unresolved.set(key, built);
      else if (built.salted) this.#salts.remove([built.salted.hash]);
      throw error;
    }
  }

  /** The call of this chain that a call of the port becomes. */
  async #devCall(address: string, call: PortCall): Promise<Call> {
    if (call.method === 'commit') {
      return this.#commitCall(call.params.netuid, call.params.data, call.params.blocksUntilReveal);
    }
    if (call.method === 'setWeights') {
      const { netuid, weights, versionKey } = call.params;
      return (await this.#weightsCall(address, netuid, weights, versionKey)).call;
    }
    return checkCall(call);
  }

  async #commitCall(netuid: number, data: string, blocksUntilReveal: number | undefined): Promise<Call> {
    const plain = checkCall({ method: 'commit', params: { netuid, data } });
    const delay = blocksUntilReveal ?? (await this.#beacon()).blocksUntilReveal;
    if (!Number.isSafeInteger(delay) || delay < 0) {
      throw new QuasarError('chain.invalid_call', `blocksUntilReveal: expected a whole number, got ${delay}`);
    }
    if (delay === 0) return plain;
    const round = (await this.head()).number + 1 + delay;
    const ciphertext = toHex(
      timelockEncrypt(encodeTimelockedText(data), round, { publicKey: fromHex((await this.#beacon()).publicKey) }),
    );
    return { method: 'commitTimelocked', params: { netuid, ciphertext, round } };
  }

  async #weightsCall(
    hotkey: string,
    netuid: number,
    asked: Weight[],
    askedVersion: number | undefined,
  ): Promise<BuiltCall> {
    const version = askedVersion === undefined ? {} : { versionKey: askedVersion };
    checkCall({ method: 'setWeights', params: { netuid, weights: asked, ...version } });
    const plan = await this.ask('weightsPlan', { netuid, hotkey });
    const weights = padded(asked, plan);
    if (plan.kind === 'plain') {
      return { call: { method: 'setWeights', params: { netuid, weights, ...version } }, salted: null };
    }
    requireKnownUids(weights, plan.size);
    const uids = weights.map(({ uid }) => uid);
    const values = upscaleToU16(weights.map(({ weight }) => weight));
    const versionKey = askedVersion ?? plan.versionKey;
    if (plan.kind === 'timelocked') {
      const round = revealBlocks(plan.head + 1, plan).first;
      const payload = encodeWeightsPayload({ hotkey, uids, values, versionKey });
      const ciphertext = toHex(
        timelockEncrypt(payload, round, { publicKey: fromHex((await this.#beacon()).publicKey) }),
      );
      return { call: { method: 'commitTimelockedWeights', params: { netuid, ciphertext, round } }, salted: null };
    }
    const salt = Array.from({ length: SALT_LENGTH }, () => randomInt(65536));
    const row = { hotkey, uids, values, salt, versionKey };
    const hash = toHex(commitHash({ ...row, netuidIndex: netuidIndex(netuid) }));
    const { genesis } = await this.identity();
    return { call: { method: 'commitWeights', params: { netuid, hash } }, salted: { ...row, genesis, netuid, hash } };
  }

  async #beacon(): Promise<RequestResults['beacon']> {
    this.#knownBeacon ??= await this.ask('beacon', {});
    return this.#knownBeacon;
  }
}

/** With zeros for the first uids that are not named, where the subnet asks for more; a weight for oneself stands alone. */
function padded(weights: Weight[], { size, uid, minAllowedWeights }: WeightsPlan): Weight[] {
  const isSelfWeight = weights.length === 1 && weights[0]?.uid === uid;
  const missing = Math.min(minAllowedWeights, size) - weights.length;
  if (isSelfWeight || missing <= 0) return weights;
  const named = new Set(weights.map((weight) => weight.uid));
  const free = Array.from({ length: size }, (_, other) => other).filter((other) => !named.has(other));
  return [...weights, ...free.slice(0, missing).map((other) => ({ uid: other, weight: 0 }))];
}

/** Hidden weights are judged when it is too late to correct them. */
function requireKnownUids(weights: readonly Weight[], size: number): void {
  const code = 'chain.weights_invalid';
  const issues = weights.flatMap(({ uid }, i) =>
    uid < size ? [] : [{ code, path: `params/weights/${i}/uid`, message: `uid ${uid} is not registered` }],
  );
  if (issues[0] === undefined) return;
  throw new QuasarError(code, `${issues[0].message}; there are ${size} neurons`, {
    hint: 'read the metagraph again before setting weights',
    data: { issues },
  });
}

export function closedError(): QuasarError {
  return new QuasarError('chain.closed', 'the chain is closed', { retry: 'later', hint: 'open it again' });
}
