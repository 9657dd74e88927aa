/** @file The chain port in terms of two things: asking for a read, and sending a signed call. Both ends of the wire share it. */
import { QuasarError } from '@quasar/base';
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
import type { Call, CallMethod, CallResults } from './call.ts';
import type { Request, RequestParams, RequestResults } from './requests.ts';

export abstract class DevPort implements Chain {
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
    { blocksUntilReveal }: { blocksUntilReveal?: number | undefined } = {},
  ): Promise<CommitReceipt> {
    const delay = blocksUntilReveal === undefined ? {} : { blocksUntilReveal };
    return this.send(wallet, { method: 'commit', params: { netuid, data, ...delay } });
  }

  async setWeights(
    wallet: Wallet,
    netuid: number,
    weights: Weight[],
    { versionKey }: { versionKey?: number | undefined } = {},
  ): Promise<WeightsReceipt> {
    const version = versionKey === undefined ? {} : { versionKey };
    return this.send(wallet, { method: 'setWeights', params: { netuid, weights, ...version } });
  }

  async revealWeights(): Promise<{ revealed: number }> {
    return { revealed: 0 };
  }

  async preview(address: string, call: PortCall): Promise<Preview> {
    return this.ask('preview', { address, call });
  }
}

export function closedError(): QuasarError {
  return new QuasarError('chain.closed', 'the chain is closed', { retry: 'later', hint: 'open it again' });
}
