/**
 * @file Six scripted miners, each a process of its own while it enters: most of what they publish is a little closer to
 * the teacher than everything before; now and then a model that is worse, or the files of somebody else. Nobody enters
 * again before both validators have said what became of the last one.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Chain, openWallet, type Wallet } from '@quasar/chain';
import { writeCheckpoint } from '../../packages/subnet/src/testing/checkpoints.ts';
import { student } from '../../packages/subnet/src/testing/contest.ts';
import type { Program } from './processes.ts';

const MINERS = 6;
const PROGRAM = fileURLToPath(new URL('miner.mjs', import.meta.url));
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

export interface ContestantsOptions {
  root: string;
  chain: Chain;
  chainUrl: string;
  hubUrl: string;
  netuid: number;
  /** How many entries the run will have, about. */
  total: number;
  /** Runs a program to its good end, however often it is killed. */
  run: (program: Omit<Program, 'clockFile'>) => Promise<void>;
}

export class Contestants {
  readonly entries: Entry[] = [];
  readonly #options: ContestantsOptions;
  readonly #miners: { wallet: Wallet; walletFile: string }[];

  constructor(options: ContestantsOptions) {
    this.#options = options;
    this.#miners = Array.from({ length: MINERS }, (_, i) => {
      const walletFile = join(options.root, 'wallets', `miner-${i}`);
      return { walletFile, wallet: openWallet(walletFile) };
    });
  }

  async register(): Promise<void> {
    const { chain, netuid } = this.#options;
    await Promise.all(this.#miners.map(({ wallet }) => chain.register(wallet, netuid)));
  }

  /** The next entry, by a miner of whom nothing waits; none when all wait. */
  async enter(isDecided: (entry: Entry) => boolean): Promise<void> {
    const { root, total, run, chainUrl, hubUrl, netuid } = this.#options;
    const n = this.entries.length;
    const free = this.#miners
      .map((_, i) => this.#miners[(n + i) % MINERS]!)
      .find(({ wallet }) => this.entries.every((one) => one.hotkey !== wallet.hotkey || isDecided(one)));
    if (!free) return;
    const { walletFile, wallet } = free;
    const kind = n % 7 === 3 ? 'worse' : n % 7 === 5 ? 'copy' : 'better';
    const share = (BEST_SHARE * (n + 2)) / (total + 2);
    const copied = this.entries.findLast((one) => one.kind === 'better' && one.hotkey !== wallet.hotkey);
    const repo = `m${n}/model`;
    const folder =
      kind === 'copy' && copied
        ? join(root, 'models', copied.repo)
        : writeCheckpoint(join(root, 'models', repo), student(kind === 'worse' ? WORSE * share : share));
    const files = FILES.map((path) => ({ path, content: join(folder, path) }));
    mkdirSync(join(root, 'orders'), { recursive: true });
    const orderFile = join(root, 'orders', `${n}.json`);
    const outFile = join(root, 'orders', `${n}.revision`);
    const order = { chainUrl, hubUrl, netuid, walletFile, cacheDirectory: join(root, 'cache'), repo, files, outFile };
    writeFileSync(orderFile, JSON.stringify(order));
    await run({ name: 'miner', script: PROGRAM, args: [orderFile] });
    this.entries.push({ hotkey: wallet.hotkey, repo, revision: readFileSync(outFile, 'utf8'), kind });
  }
}
