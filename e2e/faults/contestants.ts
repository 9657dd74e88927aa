/**
 * @file Six scripted miners: most of what they publish is a little closer to the teacher than everything before; now
 * and then a model that is worse, or the files of somebody else. Nobody enters again before both validators have said
 * what became of the last one.
 */
import { join } from 'node:path';
import { type Chain, openWallet, type Wallet } from '@quasar/chain';
import { createHubClient, type HubClient } from '@quasar/hub';
import { formatCommitment } from '@quasar/subnet';
import { writeCheckpoint } from '../../packages/subnet/src/testing/checkpoints.ts';
import { student } from '../../packages/subnet/src/testing/contest.ts';

const MINERS = 6;
const FILES = ['config.json', 'model.safetensors', 'tokenizer.json'];
/** How far the last model of a run is on its way to the teacher. */
const BEST_SHARE = 0.95;
/** Of the share that would be better. Not a simple fraction: that would be the exact model of an earlier entry. */
const WORSE = 0.37;

export interface Entry {
  hotkey: string;
  repo: string;
  revision: string;
  kind: 'better' | 'worse' | 'copy';
}

export class Contestants {
  readonly entries: Entry[] = [];
  readonly wallets: Wallet[];
  readonly #root: string;
  readonly #chain: Chain;
  readonly #netuid: number;
  readonly #hub: HubClient;
  readonly #total: number;

  /** @param total how many entries the run will have, about */
  constructor(options: { root: string; chain: Chain; netuid: number; hubUrl: string; total: number }) {
    const { root, chain, netuid, hubUrl, total } = options;
    this.#root = root;
    this.#chain = chain;
    this.#netuid = netuid;
    this.#total = total;
    this.#hub = createHubClient({ url: hubUrl, cacheDirectory: join(root, 'cache') });
    this.wallets = Array.from({ length: MINERS }, (_, i) => openWallet(join(root, 'wallets', `miner-${i}`)));
  }

  async register(): Promise<void> {
    for (const wallet of this.wallets) await this.#chain.register(wallet, this.#netuid);
  }

  /** The next entry, by a miner of whom nothing waits; null when all wait. May be repeated when a border failed. */
  async enter(isDecided: (entry: Entry) => boolean): Promise<Entry | null> {
    const n = this.entries.length;
    const free = this.wallets
      .map((_, i) => this.wallets[(n + i) % MINERS]!)
      .find(({ hotkey }) => this.entries.every((one) => one.hotkey !== hotkey || isDecided(one)));
    if (!free) return null;
    const kind = n % 7 === 3 ? 'worse' : n % 7 === 5 ? 'copy' : 'better';
    const share = (BEST_SHARE * (n + 2)) / (this.#total + 2);
    const copied = this.entries.findLast((one) => one.kind === 'better' && one.hotkey !== free.hotkey);
    const folder =
      kind === 'copy' && copied
        ? join(this.#root, 'models', copied.repo)
        : writeCheckpoint(join(this.#root, 'models', `m${n}/model`), student(kind === 'worse' ? WORSE * share : share));
    const repo = `m${n}/model`;
    const files = FILES.map((path) => ({ path, content: join(folder, path) }));
    const { revision } = await this.#hub.publish(repo, files);
    await this.#chain.commit(free, this.#netuid, formatCommitment({ repo, revision }));
    const entry: Entry = { hotkey: free.hotkey, repo, revision, kind };
    this.entries.push(entry);
    return entry;
  }
}
