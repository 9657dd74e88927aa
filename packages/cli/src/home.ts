/**
 * @file Where a net keeps its state: one folder, one sub-folder per room, nothing outside of it.
 *
 *     net.json   ports, block time, training text: what a resumed net must keep
 *     up.lock    the running supervisor and its children
 *     chain/ hub/ validator/ miners/<name>/ wallets/<name>.json cache/ logs/<name>.log
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError, writeFileAtomic } from '@quasar/base';

const OWN_ENTRIES = ['net.json', 'chain', 'hub', 'validator', 'miners', 'wallets', 'cache', 'logs'];
const NET_VERSION = 1;

/** How a chain takes weights: at once, or hidden for an epoch. */
export const COMMIT_REVEAL = ['off', 'hash', 'timelocked'] as const;
export type CommitReveal = (typeof COMMIT_REVEAL)[number];

export interface NetSettings {
  version: typeof NET_VERSION;
  ports: { server: number; hub: number; chain: number };
  blockTimeMs: number;
  /** How the chain takes weights. Absent in older homes: plain. */
  commitReveal?: CommitReveal;
  /** What the miners read besides the world, as `--data` takes it, or null. */
  data: string[] | null;
}

export class Home {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get netFile(): string {
    return join(this.root, 'net.json');
  }
  get lockFile(): string {
    return join(this.root, 'up.lock');
  }
  get chainFile(): string {
    return join(this.root, 'chain', 'chain.sqlite');
  }
  get hubFolder(): string {
    return join(this.root, 'hub');
  }
  /** The event log of the validator, which the server reads. */
  get contestFile(): string {
    return join(this.root, 'validator', 'contest.sqlite');
  }
  /** Units of evaluation on their way between the validator and its evaluators. */
  get queueFile(): string {
    return join(this.root, 'validator', 'queue.sqlite');
  }
  get validatorFolder(): string {
    return join(this.root, 'validator');
  }
  minerFolder(name: string): string {
    return join(this.root, 'miners', name);
  }
  wallet(name: string): string {
    return join(this.root, 'wallets', `${name}.json`);
  }
  /** Each process has its own download cache: no two write the same file. `data` and `tokens` are made to be shared. */
  cacheFolder(name: string): string {
    return join(this.root, 'cache', name);
  }
  /** Those that are there. */
  cacheFolders(): string[] {
    const root = join(this.root, 'cache');
    return existsSync(root) ? readdirSync(root).map((name) => join(root, name)) : [];
  }
  /** Training runs, and pointers to those that lie elsewhere; no part of a net. */
  get runsFolder(): string {
    return join(this.root, 'runs');
  }
  logFile(name: string): string {
    return join(this.root, 'logs', `${name}.log`);
  }

  /** Null for a home without a net. @throws home.invalid when the file is damaged or of another version. */
  readNet(): NetSettings | null {
    if (!existsSync(this.netFile)) return null;
    const hint = 'start over with --fresh, or choose another --home';
    let net: Partial<NetSettings>;
    try {
      net = JSON.parse(readFileSync(this.netFile, 'utf8'));
    } catch (cause) {
      throw new QuasarError('home.invalid', `${this.netFile} is damaged: ${(cause as Error).message}`, { hint, cause });
    }
    if (net.version !== NET_VERSION || typeof net.ports !== 'object' || typeof net.blockTimeMs !== 'number') {
      throw new QuasarError('home.invalid', `${this.netFile} is of another version (${net.version})`, { hint });
    }
    // One string, as it was before there could be several.
    if (typeof net.data === 'string') net.data = [net.data];
    return net as NetSettings;
  }

  writeNet(settings: Omit<NetSettings, 'version'>): void {
    writeFileAtomic(this.netFile, `${JSON.stringify({ version: NET_VERSION, ...settings }, null, 2)}\n`);
  }

  /** Removes everything a net wrote, and nothing else that may lie in the folder. */
  wipe(): void {
    for (const entry of OWN_ENTRIES) rmSync(join(this.root, entry), { recursive: true, force: true });
  }
}
