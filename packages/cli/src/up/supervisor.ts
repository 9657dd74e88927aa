/**
 * @file The supervisor of a local net: starts the processes in order, restarts what crashes, follows the contest, ends
 * when it is told to or when enough rounds are done, and stops everything it started.
 *
 *     chain, hub  ->  validator registered with stake  ->  validator, server  ->  miners as the story goes
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { QuasarError } from '@quasar/base';
import { type Chain, connectChain, openWallet, type Wallet } from '@quasar/chain';
import type { Evaluation } from '@quasar/train';
import type { Home, NetSettings } from '../home.ts';
import { NETUID } from '../net-options.ts';
import { Child, type ChildSpec } from './child.ts';
import { ContestView } from './contest-view.ts';
import type { LiveView, StatusRow } from './live-view.ts';
import type { HomeLock } from './lock.ts';
import { MINERS, type MinerName, type Plan, planNet, SERVICES, type ServiceName } from './plan.ts';
import { collectResult, type UpResult } from './result.ts';
import { Story } from './story.ts';
import { TrainingLog } from './training-log.ts';

const TICK_MS = 250;
const STOP_GRACE_MS = 4000;
const VALIDATOR_STAKE = 1000;
/** With `--rounds`: a scripted miner without a verdict is given up when nothing at all has moved for so many blocks. */
const STALLED_BLOCKS = 600;

export interface SupervisorOptions {
  home: Home;
  settings: NetSettings;
  lock: HomeLock;
  view: LiveView;
  /** Ends the run, cleanly. */
  signal: AbortSignal;
  /** Called once, when the dashboard answers. */
  onDashboard(url: string): void;
}

export class Supervisor {
  readonly plan: Plan;
  readonly #options: SupervisorOptions;
  readonly #chain: Chain;
  readonly #wallets: Record<'validator' | MinerName, Wallet>;
  readonly #services = new Map<ServiceName, Child>();
  readonly #training: TrainingLog;
  #head = 0;
  /** Head at which a miner or the contest last gave a sign of life. */
  #movedAtBlock = 0;
  #contest: ContestView | null = null;
  #story: Story | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.plan = planNet(options.home, options.settings);
    this.#chain = connectChain(this.plan.urls.chain);
    this.#training = new TrainingLog(options.home);
    const wallet = (name: string) => openWallet(options.home.wallet(name));
    this.#wallets = {
      validator: wallet('validator'),
      honest: wallet('honest'),
      broken: wallet('broken'),
      copycat: wallet('copycat'),
      better: wallet('better'),
    };
  }

  /**
   * Runs the net until the signal aborts or `rounds` rounds are finished and every scripted submission has its final
   * status. Counts all rounds of the home, so that a resumed run ends where the first one would have.
   * @returns null when it was interrupted
   * @throws up.service_failed, up.story_unfinished
   */
  async run(rounds: number | null): Promise<UpResult | null> {
    const { signal } = this.#options;
    await this.#startServices();
    while (!signal.aborted) {
      this.#followContest();
      await this.#advanceStory();
      this.#requireServices();
      this.#showStatus();
      if (rounds !== null && this.#isComplete(rounds)) return this.#result();
      await sleep(TICK_MS, undefined, { signal }).catch(() => {});
    }
    return null;
  }

  /** Contestants first, the ground they stand on last. */
  async stop(): Promise<void> {
    const miners = [...(this.#story?.children.values() ?? [])];
    const service = (name: ServiceName) => this.#services.get(name);
    await Promise.all([...miners, service('validator'), service('server')].map((child) => child?.stop(STOP_GRACE_MS)));
    await Promise.all([service('hub'), service('chain')].map((child) => child?.stop(STOP_GRACE_MS)));
    this.#contest?.close();
    this.#contest = null;
  }

  kill(): void {
    for (const child of this.#children()) child.kill();
  }

  async #startServices(): Promise<void> {
    this.#startService('chain');
    this.#startService('hub');
    await this.#untilReady('chain', 'hub');
    if (this.#options.signal.aborted) return;
    // Before anyone else registers: the validator is uid 0 on a new chain.
    await this.#chain.register(this.#wallets.validator, NETUID);
    const { neurons } = await this.#chain.metagraph(NETUID);
    const own = neurons.find((neuron) => neuron.hotkey === this.#wallets.validator.hotkey);
    if (own === undefined || own.stake < VALIDATOR_STAKE) {
      await this.#chain.addStake(this.#wallets.validator, NETUID, VALIDATOR_STAKE);
    }
    this.#startService('validator');
    this.#startService('server');
    await this.#untilReady('validator', 'server');
    if (this.#options.signal.aborted) return;
    this.#options.onDashboard(this.plan.urls.server);
    this.#contest = new ContestView(this.#options.home.contestFile);
    this.#story = new Story({
      chain: this.#chain,
      contest: this.#contest,
      hotkeys: Object.fromEntries(MINERS.map((name) => [name, this.#wallets[name].hotkey])) as Record<
        MinerName,
        string
      >,
      start: (name) => this.#startChild(this.plan.miner(name, this.#wallets.honest.hotkey)),
    });
  }

  #startService(name: ServiceName): void {
    this.#services.set(name, this.#startChild(this.plan.service(name)));
  }

  #startChild(spec: ChildSpec): Child {
    const { view, lock } = this.#options;
    return new Child(spec, {
      onState: (child) => {
        lock.setChildren(
          this.#children()
            .flatMap((one) => one.pid ?? [])
            .concat(child.pid ?? []),
        );
        const why = child.lastError === null ? '' : `: ${child.lastError.message}`;
        if (child.state === 'restarting') view.line(`${spec.name} ended and is started again${why}`);
        if (child.state === 'failed') view.line(`${spec.name} gave up${why} (see ${spec.logFile})`);
        if (child.state === 'done') view.line(`${spec.name} has submitted`);
      },
      onProgress: (_, { evaluation }) => {
        this.#movedAtBlock = this.#head;
        if (evaluation !== undefined) this.#training.record(spec.name, evaluation as Evaluation);
      },
    });
  }

  async #untilReady(...names: ServiceName[]): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted && names.some((name) => this.#services.get(name)?.state !== 'running')) {
      this.#requireServices();
      await sleep(50, undefined, { signal }).catch(() => {});
    }
  }

  #requireServices(): void {
    for (const [name, child] of this.#services) {
      if (child.state !== 'failed') continue;
      throw new QuasarError('up.service_failed', `the ${name} keeps ending: ${child.lastError?.message}`, {
        hint: child.lastError?.hint ?? `see ${child.spec.logFile}`,
        data: child.lastError,
      });
    }
  }

  #followContest(): void {
    if (this.#contest === null) return;
    const seqBefore = this.#contest.lastSeq;
    for (const line of this.#contest.catchUp()) this.#options.view.line(line);
    if (this.#contest.lastSeq > seqBefore) this.#movedAtBlock = this.#head;
  }

  /** A chain that restarts is no reason to end: the next tick asks again. */
  async #advanceStory(): Promise<void> {
    try {
      this.#head = (await this.#chain.head()).number;
      await this.#story?.advance();
    } catch (error) {
      if (!(error instanceof QuasarError) || error.retry !== 'later') throw error;
    }
  }

  /** Once everything is judged, rounds without a candidate count as well: nothing else would come. */
  #completedRounds(): number {
    if (this.#contest === null) return 0;
    const isTold = this.#story?.unfinished().length === 0;
    return this.#contest.roundsFinished + (isTold ? this.#contest.emptyRounds(this.#head) : 0);
  }

  #isComplete(rounds: number): boolean {
    const done = this.#completedRounds();
    if (this.#story === null || done < rounds) return false;
    const waitingFor: string[] = this.#story.unfinished();
    if (!this.#contest?.weightsFollowKing) waitingFor.push('validator');
    if (waitingFor.length > 0 && this.#head - this.#movedAtBlock < STALLED_BLOCKS) return false;
    const missing = [...waitingFor, ...this.#story.failed()];
    if (missing.length === 0) return true;
    throw new QuasarError('up.story_unfinished', `still waiting for ${missing.join(', ')} after ${done} rounds`, {
      hint: `see ${missing.map((name) => this.#options.home.logFile(name)).join(', ')}`,
    });
  }

  #result(): Promise<UpResult> | null {
    if (this.#contest === null) return null;
    return collectResult({
      contest: this.#contest,
      chain: this.#chain,
      validatorHotkey: this.#wallets.validator.hotkey,
      rounds: this.#completedRounds(),
      training: this.#training.all(),
      dashboard: this.plan.urls.server,
    });
  }

  #children(): Child[] {
    return [...this.#services.values(), ...(this.#story?.children.values() ?? [])];
  }

  #showStatus(): void {
    if (this.#contest === null) return;
    const { validator, king } = this.#contest.status();
    const details: Partial<Record<string, string>> = { validator, server: king };
    const rows: StatusRow[] = SERVICES.map((name) => ({
      name,
      state: this.#services.get(name)?.state ?? 'waiting',
      detail: details[name] ?? '',
    }));
    for (const name of MINERS) {
      const child = this.#story?.children.get(name);
      const verdict = this.#story?.statusOf(name);
      const detail = verdict ?? (typeof child?.facts.text === 'string' ? child.facts.text : '');
      rows.push({ name, state: child?.state ?? (verdict == null ? 'waiting' : 'done'), detail });
    }
    this.#options.view.status(rows, `dashboard: ${this.plan.urls.server}   Ctrl-C stops everything`);
  }
}
