/**
 * @file Where the hostile corpus meets the real thing: a local hub, behind a server that lies where an attack says so; the
 * dev chain, with a hotkey and a commitment of its own for every attack; a validator. Memory and disk are measured.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Wallet } from '../../packages/chain/src/index.ts';
import { createHubClient, type HubClient, type HubLimits } from '../../packages/hub/src/index.ts';
import {
  Contest,
  formatCommitment,
  rebuildContest,
  runValidator,
  type SubmissionState,
} from '../../packages/subnet/src/index.ts';
import { TEST_CONFIG, TestContest } from '../../packages/subnet/src/testing/contest.ts';
import {
  type Attack,
  checkpointFiles,
  type Files,
  honest,
  type Label,
  text,
  VICTIM,
} from '../../packages/subnet/src/testing/hostile/attack.ts';
import { CORPUS } from '../../packages/subnet/src/testing/hostile/corpus.ts';
import { serveFront } from './front.ts';

/** Of the whole process above what it had before: models, traces and answers of a round, and nothing of the bombs. */
export const MAX_MEMORY_GROWTH_BYTES = 512 * 2 ** 20;
/** Hub cache and work folder of the validator; the attacks declare petabytes. */
export const MAX_DISK_BYTES = 96 * 2 ** 20;

export interface Entrant {
  attack: Attack;
  group: string;
  /** Of its repository. */
  owner: string;
}

export const ENTRANTS: readonly Entrant[] = CORPUS.flatMap(({ title, attacks }, g) =>
  attacks.map((attack, i) => ({ attack, group: title, owner: `g${g}n${i}` })),
);

const config = {
  ...TEST_CONFIG,
  candidates: { ...TEST_CONFIG.candidates, maxPerRound: 1000 },
  round: { ...TEST_CONFIG.round, blocks: 2000, lateStartGraceBlocks: 2000, giveUpBlocks: 9000 },
};

/** Short waits, for hubs that never answer. */
export const IMPATIENT = {
  ...{ retryDelaysMs: [1], answerTimeoutMs: 300, windowMs: 100, minWindowBytes: 5000 },
  downloadTimeoutMs: 2000,
};

export class Arena {
  readonly test: TestContest;
  /** Reads what the front says. */
  readonly hub: HubClient;
  memoryGrowthBytes = 0;
  readonly #front: Server;
  readonly #wallets = new Map<string, Wallet>();
  readonly #watch: NodeJS.Timeout;
  #contest = new Contest();
  #victimRevision = '';

  private constructor(test: TestContest, front: { server: Server; url: string }, limits: Partial<HubLimits>) {
    this.test = test;
    this.#front = front.server;
    this.hub = createHubClient({ url: front.url, cacheDirectory: join(test.root, 'hostile-cache'), limits });
    const before = process.memoryUsage().rss;
    this.#watch = setInterval(() => {
      this.memoryGrowthBytes = Math.max(this.memoryGrowthBytes, process.memoryUsage().rss - before);
    }, 20);
  }

  static async open(limits: Partial<HubLimits> = {}): Promise<Arena> {
    const test = await TestContest.start({ maxUids: 1024, tempo: 5000 });
    const front = await serveFront(test.hubUrl, (owner) => ENTRANTS.find((one) => one.owner === owner)?.attack);
    return new Arena(test, front, limits);
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    this.#front.close().closeAllConnections();
    await this.test.stop();
  }

  get diskBytes(): number {
    const folders = ['hostile-cache', 'work-hostile'].map((name) => join(this.test.root, name)).filter(existsSync);
    return folders.reduce((sum, folder) => sum + sizeOf(folder), 0);
  }

  /** Publishes what the attack publishes; as any git client could, for our own would refuse to send most of it. */
  async publish({ attack, owner }: Entrant): Promise<{ repo: string; revision: string }> {
    const model = honest(owner);
    const repo = `${owner}/model`;
    return { repo, revision: await this.#push(repo, attack.files?.(model) ?? model.files) };
  }

  /** Everybody publishes and commits, the victim first; then one round of a validator, and a second for who comes again. */
  async contest(entrants: readonly Entrant[]): Promise<void> {
    const victim = await this.test.wallet('victim');
    this.#victimRevision = await this.test.submit(victim, 'victim/model', VICTIM);
    for (const entrant of entrants) {
      const { attack, owner } = entrant;
      this.#wallets.set(owner, await this.test.wallet(owner));
      const { repo, revision } = await this.publish(entrant);
      await this.#commit(entrant, repo, revision);
      if (attack.later === 'deleted') await this.test.removeRepo(repo);
      if (attack.later === 'private') await this.test.hideRepo(repo);
      if (attack.later === 'moved on') await this.#push(repo, checkpointFiles(VICTIM));
    }
    await this.#validate(1);
    const again = entrants.filter(({ attack }) => attack.again);
    for (const entrant of again) {
      const repo = `${entrant.owner}/model`;
      await this.#commit(entrant, repo, await this.#push(repo, new Map([['README.md', text('now much better')]])));
    }
    if (again.length > 0) await this.#validate(2);
  }

  /** What the validator says of an attack. */
  verdict({ owner }: Entrant): { label: Label; submission: SubmissionState } {
    const hotkey = this.#wallets.get(owner)?.hotkey;
    const submission = [...this.#contest.submissions.values()].filter((one) => one.hotkey === hotkey).at(-1);
    if (!submission) throw new Error(`the validator never saw the commitment of ${owner}`);
    const { status } = submission;
    if (status === 'king' || status === 'dethroned' || status === 'lost') return { label: 'judged', submission };
    if (status !== 'pending' && status !== 'stale') return { label: status, submission };
    const isScored = [...this.#contest.rounds.values()].some(({ scored }) => scored.has(submission.id));
    return { label: isScored ? 'judged' : 'no verdict', submission };
  }

  async #commit({ attack, owner }: Entrant, repo: string, revision: string): Promise<void> {
    const data = attack.commitment?.(repo, revision, this.#victimRevision) ?? formatCommitment({ repo, revision });
    await this.test.chain.commit(this.#wallets.get(owner)!, config.netuid, data);
  }

  async #validate(rounds: number): Promise<void> {
    const owner = await this.test.wallet('owner', 1000);
    const store = this.test.store('hostile');
    const stop = new AbortController();
    const options = {
      ...this.test.options('hostile', owner, store, stop.signal),
      hub: this.hub,
      config,
    };
    const running = runValidator(options).finally(() => stop.abort());
    const finished = (contest: Contest) =>
      [...contest.rounds.values()].filter(({ finishedAtMs }) => finishedAtMs !== null).length >= rounds;
    while (!stop.signal.aborted && !finished(this.#contest)) {
      await setTimeout(200);
      for (const event of store.events({ afterSeq: this.#contest.lastSeq })) this.#contest.apply(event);
    }
    stop.abort();
    await running;
    this.#contest = rebuildContest(store.events());
  }

  async #push(repo: string, files: Files): Promise<string> {
    const [organization, name] = repo.split('/');
    const lines = [...files].map(([path, content]) => {
      const value = { path, content: Buffer.from(content).toString('base64'), encoding: 'base64' };
      return JSON.stringify({ key: 'file', value });
    });
    const post = (path: string, body: string) => fetch(`${this.test.hubUrl}${path}`, { method: 'POST', body });
    await post('/api/repos/create', JSON.stringify({ organization, name, type: 'model' }));
    const header = JSON.stringify({ key: 'header', value: { summary: 'Submission' } });
    const answer = await post(`/api/models/${repo}/commit/main`, [header, ...lines].join('\n'));
    return ((await answer.json()) as { commitOid: string }).commitOid;
  }
}

/** Each content once: snapshots are links to blobs. */
function sizeOf(directory: string): number {
  const sizes = new Map<number, number>();
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const { ino, size } = statSync(join(directory, name));
    sizes.set(ino, size);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** For `expect`: label and code in one line, with what was said instead when it differs. */
export function summary(label: Label, codes: readonly string[], messages: readonly string[], expected: Attack): string {
  const isRight =
    label === expected.label &&
    (expected.code === null ? codes.length === 0 || label === 'judged' : codes.includes(expected.code));
  return isRight ? `${expected.label} ${expected.code}` : `${label} ${codes}: ${messages.join('; ').slice(0, 300)}`;
}
