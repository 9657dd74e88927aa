/**
 * @file A hub, a dev chain and challengers of the size of `assets/base`, and one round of theirs that can be judged any
 * number of times: the chain stands still between commitments and verdict.
 *
 * The challengers are the base with noise on its weights: as much work as any model, and none of it worth a crown.
 */
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import { DevChain, openWallet } from '@quasar/chain';
import { createHubClient, serveHub } from '@quasar/hub';
import { toBf16 } from '@quasar/model';
import { openStore } from '@quasar/store';
import { EVIDENCE_FOLDER, formatCommitment, LOCAL, runValidator } from '@quasar/subnet';
import { root } from '../../scripts/bootstrap.js';

const CHALLENGERS = 5;
/** Of a weight; far above what copy detection takes for noise. */
const NOISE = 0.2;

export const ASSETS = { base: join(root, 'assets/base'), teacher: join(root, 'assets/teacher') };

export class Arena {
  folder = mkdtempSync(join(tmpdir(), 'quasar-bench-round-'));
  config;
  #server;
  #hub;
  #chain;
  #wallet;
  #secret = null;

  /** @param early whether hopeless duels end early, as the rules say */
  static async open(early) {
    const arena = new Arena();
    const duel = early ? LOCAL.duel : { ...LOCAL.duel, sequential: null };
    arena.config = { ...LOCAL, duel, round: { ...LOCAL.round, giveUpBlocks: 1_000_000 } };
    arena.#server = await serveHub({ directory: join(arena.folder, 'hub'), port: 0 });
    arena.#hub = createHubClient({ url: arena.hubUrl, cacheDirectory: join(arena.folder, 'cache') });
    arena.#chain = DevChain.open({ path: join(arena.folder, 'chain.db'), blockTimeMs: 0, tempo: 5 });
    await arena.#enter();
    return arena;
  }

  get hubUrl() {
    return this.#server.url;
  }

  /**
   * Judge the round with a validator that remembers nothing of the times before, but looks for copies in the same places.
   * @param options of the validator: its queue, its evaluators
   * @param during called while it is judged; its `signal` aborts with the verdict
   * @returns the events up to the verdict, the folder with the evidence, and the units of evaluators in its own care
   */
  async judge(name, options, during = async () => {}) {
    const workDirectory = join(this.folder, name);
    const secret = join(workDirectory, 'sampling-secret');
    mkdirSync(workDirectory);
    if (this.#secret !== null) copyFileSync(this.#secret, secret);
    const store = openStore({ path: join(workDirectory, 'contest.sqlite') });
    const stop = new AbortController();
    const units = [];
    let isOver = false;
    const running = runValidator({
      ...{ chain: this.#chain, hub: this.#hub, store, wallet: this.#wallet, config: this.config, workDirectory },
      ...{ baseDirectory: ASSETS.base, teacherDirectory: ASSETS.teacher },
      ...options,
      onUnit: (unit) => units.push(unit),
      signal: stop.signal,
    }).finally(() => {
      isOver = true;
    });
    const events = () => store.events();
    const judged = new AbortController();
    try {
      const watching = until(() => events().some(({ type }) => type === 'round.judged') || isOver);
      watching.then(() => judged.abort());
      await Promise.race([running, Promise.all([watching, during({ events, signal: judged.signal })])]);
      stop.abort();
      await running;
      if (!events().some(({ type }) => type === 'round.judged'))
        throw new Error('the validator ended before the round');
      return { events: events(), units, evidence: join(workDirectory, EVIDENCE_FOLDER) };
    } finally {
      stop.abort();
      await running.catch(() => {});
      store.close();
      this.#secret ??= secret;
    }
  }

  async close() {
    this.#chain?.close();
    await this.#server?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #enter() {
    const { netuid, round } = this.config;
    this.#wallet = openWallet(join(this.folder, 'owner'));
    await this.#chain.register(this.#wallet, netuid);
    await this.#chain.addStake(this.#wallet, netuid, 1000);
    for (let i = 0; i < CHALLENGERS; i++) {
      const wallet = openWallet(join(this.folder, `miner-${i}`));
      await this.#chain.register(wallet, netuid);
      const directory = this.#noisy(i);
      const files = ['config.json', 'model.safetensors', 'tokenizer.json'];
      const repo = `miner-${i}/model`;
      const content = files.map((path) => ({ path, content: join(directory, path) }));
      const { revision } = await this.#hub.publish(repo, content);
      await this.#chain.commit(wallet, netuid, formatCommitment({ repo, revision }));
    }
    // Past the start of the next round, with everybody before its cutoff.
    await this.#chain.advance(2 * round.blocks - ((await this.#chain.head()).number % round.blocks) + 1);
  }

  /** A copy of the base with noise on every matrix. */
  #noisy(seed) {
    const directory = join(this.folder, `model-${seed}`);
    mkdirSync(directory);
    for (const name of ['config.json', 'tokenizer.json']) cpSync(join(ASSETS.base, name), join(directory, name));
    const bytes = readFileSync(join(ASSETS.base, 'model.safetensors'));
    const headerBytes = Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString());
    const rng = new Rng(`bench/${seed}`);
    for (const [name, { dtype, shape, data_offsets: [from, to] = [] }] of Object.entries(header)) {
      if (name === '__metadata__' || dtype !== 'BF16' || shape.length < 2) continue;
      const [start, count] = [8 + headerBytes + from, (to - from) / 2];
      const values = Float32Array.from({ length: count }, (_, i) => {
        const value = float(bytes.readUInt16LE(start + 2 * i));
        return value * (1 + NOISE * (2 * rng.next() - 1));
      });
      for (const [i, value] of toBf16(values).entries()) bytes.writeUInt16LE(value, start + 2 * i);
    }
    writeFileSync(join(directory, 'model.safetensors'), bytes);
    return directory;
  }
}

/** Looks until it is so. */
export async function until(isSo) {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20));
}

function float(bf16) {
  return new Float32Array(Uint32Array.of(bf16 << 16).buffer)[0];
}
