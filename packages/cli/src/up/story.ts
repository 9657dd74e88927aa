/**
 * @file When each scripted miner enters, and when the story is told: every scripted submission has a final status.
 */
import type { Chain } from '@quasar/chain';
import { NETUID } from '../net-options.ts';
import type { Child } from './child.ts';
import type { ContestView } from './contest-view.ts';
import { MINERS, type MinerName } from './plan.ts';

export interface StoryOptions {
  chain: Chain;
  contest: ContestView;
  hotkeys: Record<MinerName, string>;
  start(name: MinerName): Child;
}

export class Story {
  readonly #options: StoryOptions;
  readonly children = new Map<MinerName, Child>();
  #honestIsRevealed = false;

  constructor(options: StoryOptions) {
    this.#options = options;
  }

  /** Starts the miners whose moment has come; not those that the validator has heard of in an earlier run. */
  async advance(): Promise<void> {
    for (const name of MINERS) {
      if (this.children.has(name) || this.statusOf(name) !== null) continue;
      if (await this.#isDue(name)) this.children.set(name, this.#options.start(name));
    }
  }

  /** Miners whose submission still waits for a verdict, or that have not submitted yet. */
  unfinished(): MinerName[] {
    return MINERS.filter((name) => {
      if (this.children.get(name)?.state === 'failed') return false;
      const status = this.statusOf(name);
      return status === null || status === 'pending';
    });
  }

  statusOf(name: MinerName): string | null {
    return this.#options.contest.statusOf(this.#options.hotkeys[name]);
  }

  /** Miners that gave up without a submission. */
  failed(): MinerName[] {
    return MINERS.filter((name) => this.children.get(name)?.state === 'failed' && this.statusOf(name) === null);
  }

  async #isDue(name: MinerName): Promise<boolean> {
    if (name === 'copycat') return this.#isHonestRevealed();
    if (name === 'better') return this.#options.contest.hasKing || this.#isHonestJudged();
    return true;
  }

  #isHonestJudged(): boolean {
    const status = this.statusOf('honest');
    return status !== null && status !== 'pending';
  }

  async #isHonestRevealed(): Promise<boolean> {
    if (this.#honestIsRevealed || this.statusOf('honest') !== null) return true;
    // The child of `honest` has to be done first: until then there is nothing to ask the chain for.
    if (this.children.get('honest')?.state !== 'done') return false;
    const { chain, hotkeys } = this.#options;
    const { number } = await chain.head();
    const commitments = await chain.commitments(NETUID, number);
    this.#honestIsRevealed = commitments.some((one) => one.hotkey === hotkeys.honest);
    return this.#honestIsRevealed;
  }
}
