/**
 * @file What the chain says, kept fresh in the background: head block, metagraph, weights.
 *
 * The page must answer at once and while the chain is away, so requests read this copy and never the chain.
 */
import { sleep } from '@quasar/base';
import type { Chain, Metagraph, WeightRow } from '@quasar/chain';
import type { ChainView, ConsensusKing, King, ValidatorRow } from './wire.ts';

/** What is read of a chain; `connectChain(url)` satisfies it. */
export type WatchedChain = Pick<Chain, 'head' | 'blockTimeMs' | 'metagraph' | 'weights'>;

/** The metagraph and the weights change rarely: read again after this many blocks. */
const SLOW_EVERY_BLOCKS = 5;

export interface ChainWatchOptions {
  chain: WatchedChain;
  netuid: number;
  /** Between two looks at the head. Default: half a block time, at least 250 ms, at most 6 s. */
  pollMs?: number | undefined;
  /** Called when the chain stops or starts to answer. */
  onChange?: (online: boolean, error: unknown) => void;
}

export class ChainWatch {
  readonly #options: ChainWatchOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #view: ChainView = { online: false, block: null, block_hash: null, seen_ms: null, block_time_ms: null, error: null };
  #metagraph: Metagraph | null = null;
  #rows: WeightRow[] = [];
  #slowReadAtBlock = Number.NEGATIVE_INFINITY;

  constructor(options: ChainWatchOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  view(): ChainView {
    return this.#view;
  }

  /** Neurons with a validator permit that vote, most stake first. A miner that earned stake has a permit as well. */
  validators(): ValidatorRow[] {
    const voting = new Set(this.#rows.map((row) => row.validatorUid));
    const neurons = (this.#metagraph?.neurons ?? []).filter(
      (neuron) => neuron.validatorPermit && voting.has(neuron.uid),
    );
    return neurons
      .sort((a, b) => b.stake - a.stake || a.uid - b.uid)
      .map((neuron) => ({
        uid: neuron.uid,
        hotkey: neuron.hotkey,
        stake: neuron.stake,
        validator_permit: neuron.validatorPermit,
        last_update_block: neuron.lastUpdateBlock,
      }));
  }

  /** The uid with the greatest stake-weighted share of the weights on chain; null while none are set. */
  consensus(reigns: readonly King[]): ConsensusKing | null {
    const stakeOf = new Map(this.#metagraph?.neurons.map((neuron) => [neuron.uid, neuron.stake]));
    const votes = new Map<number, number>();
    let total = 0;
    for (const row of this.#rows) {
      const stake = stakeOf.get(row.validatorUid) ?? 0;
      total += stake;
      for (const { uid, weight } of row.weights) votes.set(uid, (votes.get(uid) ?? 0) + stake * weight);
    }
    const [first] = [...votes].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    if (!first || total <= 0) return null;
    const king = reigns.findLast((reign) => reign.uid === first[0]);
    return {
      uid: first[0],
      hf_repo: king?.hf_repo ?? null,
      king_revision: king?.king_revision ?? null,
      support_fraction: first[1] / total,
      incentive_fraction: this.#metagraph?.neurons[first[0]]?.incentive ?? 0,
      weights_block: Math.max(...this.#rows.map((row) => row.setAtBlock)),
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        if (this.#view.online || this.#view.error === null) this.#options.onChange?.(false, error);
        this.#view = { ...this.#view, online: false, error: 'The chain does not answer.' };
      }
      await sleep(this.#pollMs(), this.#stop.signal);
    }
  }

  async #look(): Promise<void> {
    const { chain, netuid } = this.#options;
    const head = await chain.head();
    const isNew = head.hash !== this.#view.block_hash;
    const blockTimeMs = this.#view.block_time_ms ?? (await chain.blockTimeMs());
    if (!this.#view.online) this.#options.onChange?.(true, null);
    this.#view = {
      online: true,
      block: head.number,
      block_hash: head.hash,
      seen_ms: isNew ? Date.now() : this.#view.seen_ms,
      block_time_ms: blockTimeMs,
      error: null,
    };
    if (head.number - this.#slowReadAtBlock < SLOW_EVERY_BLOCKS) return;
    this.#metagraph = await chain.metagraph(netuid);
    this.#rows = await chain.weights(netuid, head.number);
    this.#slowReadAtBlock = head.number;
  }

  #pollMs(): number {
    return this.#options.pollMs ?? Math.min(6000, Math.max(250, (this.#view.block_time_ms ?? 2000) / 2));
  }
}
