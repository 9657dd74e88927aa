/** @file A whole small contest for tests: real hub, real dev chain, real stores, models of the smallest size. No clock. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Chain, DevChain, type DevChainOptions, openWallet, type Wallet, type WeightRow } from '@quasar/chain';
import { createHubClient, type HubClient, type LocalHub, serveHub } from '@quasar/hub';
import type { ModelConfig } from '@quasar/model';
import { openStore, type Store } from '@quasar/store';
import { Compute } from '../evaluation/compute.ts';
import { type Contest, rebuildContest } from '../projection.ts';
import { formatCommitment } from '../rules/commitment.ts';
import { LOCAL, type SubnetConfig } from '../rules/config.ts';
import type { ValidatorOptions } from '../validator/context.ts';
import { runValidator } from '../validator/validator.ts';
import { blend, MICRO, microWeights, type Weights, writeCheckpoint } from './checkpoints.ts';

/** Local rules, scaled down. Only axes that say something about random models have weight. */
export const TEST_CONFIG: SubnetConfig = {
  ...LOCAL,
  round: {
    blocks: 30,
    cutoffBlocks: 2,
    activationBlocks: 5,
    lateStartGraceBlocks: 30,
    giveUpBlocks: 300,
    firstBlock: 0,
  },
  duel: { ...LOCAL.duel, prompts: 24, minPrompts: 20, continuationTokens: 8, topK: 16, bootstrapResamples: 100 },
  axes: {
    ...LOCAL.axes,
    specs: LOCAL.axes.specs.map((spec) => ({
      ...spec,
      weight: ['kl', 'on_policy_rkl', 'math_bench'].includes(spec.name) ? spec.weight : 0,
      minValid: 1,
      questions: spec.questions && { ...spec.questions, items: 2, maxNewTokens: 8 },
    })),
    onPolicy: { ...LOCAL.axes.onPolicy, prompts: 4, maxNewTokens: 8 },
    broken: { minTeacher: 0, needsBaseAboveZero: false },
  },
  crown: { qualityTolerance: 0.03, qualityFloor: 0, minQualityAxes: 1 },
  weights: { ...LOCAL.weights, reserveUid: 0 },
};

export const TEACHER = microWeights('teacher', 6);
export const BASE = microWeights('base');

/** What every validator of a contest has. */
export interface ContestModels {
  config: ModelConfig;
  base: Weights;
  teacher: Weights;
}

const MODELS: ContestModels = { config: MICRO, base: BASE, teacher: TEACHER };

/** A student that has learned `share` of the way to the teacher. */
export const student = (share: number): Weights => blend(BASE, TEACHER, share);

export class TestContest {
  readonly root: string;
  readonly chain: Chain;
  readonly hub: HubClient;
  readonly #devChain: DevChain;
  readonly #server: LocalHub;
  readonly #stores: Store[] = [];
  #directories = 0;

  private constructor(root: string, chain: DevChain, server: LocalHub, models: ContestModels) {
    this.root = root;
    this.#devChain = chain;
    this.chain = blockPerLook(chain);
    this.#server = server;
    this.hub = createHubClient({ url: server.url, cacheDirectory: join(root, 'cache') });
    writeCheckpoint(join(root, 'base'), models.base, models.config);
    writeCheckpoint(join(root, 'teacher'), models.teacher, models.config);
  }

  static async start(rules: Partial<DevChainOptions> = {}, models: ContestModels = MODELS): Promise<TestContest> {
    const root = mkdtempSync(join(tmpdir(), 'contest-'));
    const server = await serveHub({ directory: join(root, 'hub'), port: 0 });
    const path = join(root, 'chain.db');
    const chain = DevChain.open({ blockTimeMs: 0, weightsRateLimitBlocks: 1, tempo: 3, ...rules, path });
    return new TestContest(root, chain, server, models);
  }

  get hubUrl(): string {
    return this.#server.url;
  }

  async stop(): Promise<void> {
    for (const store of this.#stores) store.close();
    this.#devChain.close();
    await this.#server.close();
    rmSync(this.root, { recursive: true, force: true });
  }

  async wallet(name: string, stake = 0): Promise<Wallet> {
    const wallet = openWallet(join(this.root, 'wallets', name));
    await this.chain.register(wallet, TEST_CONFIG.netuid);
    if (stake > 0) {
      await this.chain.addStake(wallet, TEST_CONFIG.netuid, stake);
      // The permit comes with the epoch.
      const { number } = await this.#devChain.head();
      await this.#devChain.advance((await this.chain.nextEpochBlock(TEST_CONFIG.netuid)) - number);
    }
    return wallet;
  }

  checkpoint(weights: Weights, config?: unknown): string {
    return writeCheckpoint(join(this.root, `model-${this.#directories++}`), weights, config);
  }

  async publish(repo: string, directory: string): Promise<string> {
    const paths = ['config.json', 'model.safetensors', 'tokenizer.json'];
    const files = paths.map((path) => ({ path, content: join(directory, path) }));
    return (await this.hub.publish(repo, files)).revision;
  }

  /** Publish and commit; what a miner does, without its checks. */
  async submit(wallet: Wallet, repo: string, weights: Weights): Promise<string> {
    const revision = await this.publish(repo, this.checkpoint(weights));
    await this.chain.commit(wallet, TEST_CONFIG.netuid, formatCommitment({ repo, revision }));
    return revision;
  }

  async removeRepo(repo: string): Promise<void> {
    const [organization, name] = repo.split('/');
    await fetch(`${this.#server.url}/api/repos/delete`, {
      method: 'DELETE',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ organization, name, type: 'model' }),
    });
  }

  async hideRepo(repo: string): Promise<void> {
    await fetch(`${this.#server.url}/api/models/${repo}/settings`, {
      method: 'PUT',
      body: JSON.stringify({ private: true }),
    });
  }

  store(name: string): Store {
    const store = openStore({ path: join(this.root, `${name}.db`) });
    this.#stores.push(store);
    return store;
  }

  options(name: string, wallet: Wallet, store: Store, signal: AbortSignal): ValidatorOptions {
    return {
      chain: this.chain,
      hub: this.hub,
      store,
      wallet,
      config: TEST_CONFIG,
      baseDirectory: join(this.root, 'base'),
      teacherDirectory: join(this.root, 'teacher'),
      workDirectory: join(this.root, `work-${name}`),
      // The cage has tests of its own; here a unit is computed where the test can see it.
      openRunner: () => new Compute({ threads: 1 }),
      signal,
    };
  }

  /** The same chain seen from block 0, one block per look: whoever follows it lives through history again. */
  replay(): Chain {
    const chain = this.#devChain;
    let now = 0;
    let own: WeightRow | null = null;
    return overlay(chain, {
      head: async () => {
        if (now >= (await chain.head()).number) await chain.advance();
        now++;
        return { number: now, hash: (await chain.blockHash(now))! };
      },
      // History cannot be changed: a row set in a replay is seen by the replay only.
      weights: async (netuid, atBlock) => {
        const rows = (await chain.weights(netuid, atBlock)).filter(({ hotkey }) => hotkey !== own?.hotkey);
        return own && own.setAtBlock <= atBlock ? [...rows, own] : rows;
      },
      setWeights: async ({ hotkey }, _netuid, weights) => {
        own = { validatorUid: -1, hotkey, setAtBlock: now, weights };
        return { kind: 'plain', setAtBlock: now };
      },
    });
  }

  /** Run a validator until the contest satisfies `done`. */
  async validate(name: string, wallet: Wallet, store: Store, done: (contest: Contest) => boolean): Promise<Contest> {
    const stop = new AbortController();
    const running = runValidator(this.options(name, wallet, store, stop.signal));
    const watching = waitUntil(store, done, stop.signal);
    await Promise.race([running, watching]);
    stop.abort();
    await running;
    await watching;
    return rebuildContest(store.events());
  }
}

/** Time passes when somebody looks at the clock: a slow machine never misses a round. */
function blockPerLook(chain: DevChain): Chain {
  return overlay(chain, { head: () => chain.advance() });
}

/** The chain with some members replaced. */
export function overlay(chain: Chain, change: Partial<Chain>): Chain {
  return new Proxy(chain, {
    get(target, name) {
      const own = change[name as keyof Chain];
      if (own !== undefined) return own;
      const value = target[name as keyof Chain];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export async function waitUntil(store: Store, done: (contest: Contest) => boolean, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !done(rebuildContest(store.events())))
    await new Promise((resolve) => setTimeout(resolve, 50));
}
