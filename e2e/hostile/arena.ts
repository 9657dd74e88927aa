/**
 * @file Where the hostile corpus meets the real thing: a local hub, behind a server that lies where an attack says so; the
 * dev chain, with a hotkey and a commitment of its own for every attack; a validator, whose evaluator computes in a cage.
 */
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
} from '../../packages/subnet/src/testing/hostile/attack.ts';
import { CORPUS } from '../../packages/subnet/src/testing/hostile/corpus.ts';
import { type Ground, SMALLEST } from '../../packages/subnet/src/testing/hostile/ground.ts';
import { serveFront } from './front.ts';
import { HoledCage } from './holed-cage.ts';
import { type Peaks, PeakWatch } from './peaks.ts';

export interface Entrant {
  attack: Attack;
  group: string;
  ground: Ground;
  /** Of its repository. */
  owner: string;
}

export const ENTRANTS: readonly Entrant[] = CORPUS.flatMap(({ title, attacks, ground = SMALLEST }, g) =>
  attacks.map((attack, i) => ({ attack, group: title, ground, owner: `g${g}n${i}` })),
);

/** Short waits, for hubs that never answer. */
export const IMPATIENT = {
  ...{ retryDelaysMs: [1], answerTimeoutMs: 300, windowMs: 100, minWindowBytes: 5000 },
  downloadTimeoutMs: 2000,
};

/** Who is no attacker: the first to reveal, whom others copy, and one who comes after all of them. */
export type Bystander = 'victim' | 'latecomer';

export class Arena {
  readonly test: TestContest;
  /** Reads what the front says. */
  readonly hub: HubClient;
  readonly ground: Ground;
  readonly #front: Server;
  readonly #wallets = new Map<string, Wallet>();
  readonly #committed = new Map<string, { repo: string; revision: string }>();
  readonly #watch: PeakWatch;
  readonly #runners: HoledCage[] = [];
  #contest = new Contest();
  #victimRevision = '';

  private constructor(
    test: TestContest,
    front: { server: Server; url: string },
    limits: Partial<HubLimits>,
    ground: Ground,
  ) {
    this.test = test;
    this.ground = ground;
    this.#front = front.server;
    const cache = join(test.root, 'hostile-cache');
    this.hub = createHubClient({ url: front.url, cacheDirectory: cache, limits });
    const evidence = join(test.root, 'work-hostile', 'evidence');
    const eventLog = join(test.root, 'hostile.db');
    this.#watch = new PeakWatch({ cache, evidence, eventLog }, () =>
      Math.max(0, ...this.#runners.map(({ peakBytes }) => peakBytes)),
    );
  }

  static async open(limits: Partial<HubLimits> = {}, ground: Ground = SMALLEST): Promise<Arena> {
    const test = await TestContest.start({ maxUids: 1024, tempo: 5000 }, ground);
    const front = await serveFront(test.hubUrl, (owner) => ENTRANTS.find((one) => one.owner === owner)?.attack);
    return new Arena(test, front, limits, ground);
  }

  async close(): Promise<void> {
    this.#watch.stop();
    this.#front.close().closeAllConnections();
    await this.test.stop();
  }

  get peaks(): Peaks {
    return this.#watch.look();
  }

  get outcome(): Contest {
    return this.#contest;
  }

  /** The rules of the contest: those of tests, with room for everybody in a round. */
  get config() {
    const { numbers } = this.ground;
    return {
      ...{ ...TEST_CONFIG, numbers },
      // As many prompts as on a laptop net: in a duel of 24 a noise copy was lucky once.
      duel: { ...TEST_CONFIG.duel, prompts: 120, minPrompts: 100 },
      candidates: { ...TEST_CONFIG.candidates, maxPerRound: 1000 },
      round: { ...TEST_CONFIG.round, blocks: 2000, lateStartGraceBlocks: 2000, giveUpBlocks: 9000 },
    };
  }

  /** Publishes what the attack publishes; as any git client could, for our own would refuse to send most of it. */
  async publish(entrant: Entrant): Promise<{ repo: string; revision: string }> {
    const { attack, owner } = entrant;
    const model = honest(owner, this.ground);
    const repo = repoOf(entrant);
    return { repo, revision: await this.#push(repo, attack.files?.(model) ?? model.files) };
  }

  /** Everybody publishes and commits, the victim first; then one round of a validator, and a second for who comes again. */
  async contest(entrants: readonly Entrant[]): Promise<void> {
    const { victim, config } = this.ground;
    // Before all others: the first uid is the one that rules name.
    await this.test.wallet('victim');
    const isEarly = ({ attack }: Entrant) => attack.early === true;
    for (const entrant of entrants.filter(isEarly)) await this.#enter(entrant);
    this.#victimRevision = await this.#join('victim', checkpointFiles(victim, config));
    for (const entrant of entrants.filter((one) => !isEarly(one))) await this.#enter(entrant);
    for (const { attack, ...entrant } of entrants) {
      const repo = repoOf({ attack, ...entrant });
      if (attack.later === 'deleted') await this.test.removeRepo(repo);
      if (attack.later === 'private') await this.test.hideRepo(repo);
      if (attack.later === 'moved on') await this.#push(repo, checkpointFiles(victim, config));
    }
    await this.#join('latecomer', honest('latecomer', this.ground).files);
    await this.#validate(1);
    const again = entrants.filter(({ attack }) => attack.again);
    for (const entrant of again) {
      const { repo, revision } = this.#committed.get(entrant.owner)!;
      const isSame = entrant.attack.again === 'same revision';
      const note = new Map([['README.md', text('now much better')]]);
      await this.#commit(entrant, repo, isSame ? revision : await this.#push(repo, note));
    }
    if (again.length > 0) await this.#validate(2);
  }

  /** What the validator says of an attack. */
  verdict({ owner }: Pick<Entrant, 'owner'>): { label: Label; submission: SubmissionState } {
    const submission = this.submissions(owner).at(-1);
    if (!submission) throw new Error(`the validator never saw the commitment of ${owner}`);
    const { status } = submission;
    if (status === 'king' || status === 'dethroned' || status === 'lost') return { label: 'judged', submission };
    if (status !== 'pending' && status !== 'stale') return { label: status, submission };
    const isScored = [...this.#contest.rounds.values()].some(({ scored }) => scored.has(submission.id));
    return { label: isScored ? 'judged' : 'no verdict', submission };
  }

  /** All that somebody committed, oldest first. */
  submissions(owner: string): SubmissionState[] {
    const hotkey = this.#wallets.get(owner)?.hotkey;
    return [...this.#contest.submissions.values()].filter((one) => one.hotkey === hotkey);
  }

  /** Uids with weight on chain. */
  async weighted(): Promise<{ uid: number; weight: number; hotkey: string }[]> {
    const { netuid } = this.config;
    const { number } = await this.test.chain.head();
    const { neurons } = await this.test.chain.metagraph(netuid);
    const rows = await this.test.chain.weights(netuid, number);
    return rows.flatMap(({ weights }) =>
      weights.map(({ uid, weight }) => ({ uid, weight, hotkey: neurons.find((one) => one.uid === uid)?.hotkey ?? '' })),
    );
  }

  /** Whose hotkey it is. */
  ownerOf(hotkey: string): string | undefined {
    return [...this.#wallets].find(([, wallet]) => wallet.hotkey === hotkey)?.[0];
  }

  async #join(owner: Bystander, files: Files): Promise<string> {
    const wallet = await this.test.wallet(owner);
    this.#wallets.set(owner, wallet);
    const repo = `${owner}/model`;
    const revision = await this.#push(repo, files);
    await this.test.chain.commit(wallet, this.config.netuid, formatCommitment({ repo, revision }));
    return revision;
  }

  async #enter(entrant: Entrant): Promise<void> {
    const { owner, attack } = entrant;
    this.#wallets.set(owner, await this.test.wallet(owner));
    for (let n = 1; n < (attack.times ?? 1); n++) {
      const repo = repoOf(entrant);
      const { files } = honest(`${owner}/${n}`, this.ground);
      await this.#commit(entrant, repo, await this.#push(repo, files));
    }
    const { repo, revision } = await this.publish(entrant);
    await this.#commit(entrant, repo, revision);
  }

  async #commit({ attack, owner }: Entrant, repo: string, revision: string): Promise<void> {
    const data = attack.commitment?.(repo, revision, this.#victimRevision) ?? formatCommitment({ repo, revision });
    await this.test.chain.commit(this.#wallets.get(owner)!, this.config.netuid, data);
    this.#committed.set(owner, { repo, revision });
  }

  async #validate(rounds: number): Promise<void> {
    const owner = await this.test.wallet('owner', 1000);
    const store = this.test.store('hostile');
    const stop = new AbortController();
    const options = {
      ...this.test.options('hostile', owner, store, stop.signal),
      ...{ hub: this.hub, config: this.config },
      openRunner: () => {
        const runner = new HoledCage();
        this.#runners.push(runner);
        return runner;
      },
    };
    const running = runValidator(options).finally(() => stop.abort());
    // Until the weights of the last round are on chain.
    const isOver = ({ rounds: all, king, weights }: Contest) => {
      const finished = [...all.values()].filter(({ finishedAtMs }) => finishedAtMs !== null);
      return finished.length >= rounds && (king === null || (weights?.setAtBlock ?? 0) >= king.crownedAtBlock);
    };
    while (!stop.signal.aborted && !isOver(this.#contest)) {
      await setTimeout(200);
      for (const event of store.events({ afterSeq: this.#contest.lastSeq })) this.#contest.apply(event);
      this.#watch.look();
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
    const post = async (path: string, body: string) => {
      const send = () => fetch(`${this.test.hubUrl}${path}`, { method: 'POST', body });
      // After a pause of this process the hub may have closed what was kept open.
      return send().catch(send);
    };
    await post('/api/repos/create', JSON.stringify({ organization, name, type: 'model' }));
    const header = JSON.stringify({ key: 'header', value: { summary: 'Submission' } });
    const answer = await post(`/api/models/${repo}/commit/main`, [header, ...lines].join('\n'));
    return ((await answer.json()) as { commitOid: string }).commitOid;
  }
}

/** A hole is known by the name of the repository. */
function repoOf({ owner, attack: { hole } }: Entrant): string {
  return `${owner}/${hole ? `hole-${hole.does}-${hole.at}` : 'model'}`;
}

/** For `expect`: label and code in one line, with what was said instead when it differs. */
export function summary(label: Label, codes: readonly string[], messages: readonly string[], expected: Attack): string {
  const isRight =
    label === expected.label &&
    (expected.code === null ? codes.length === 0 || label === 'judged' : codes.includes(expected.code));
  return isRight ? `${expected.label} ${expected.code}` : `${label} ${codes}: ${messages.join('; ').slice(0, 300)}`;
}
