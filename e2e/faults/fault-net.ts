/**
 * @file A net of real processes with a bad world between them: a chain with hidden weights, a hub, two validators that each
 * see both through wires of their own, on disks of their own, with calendars of their own; six miners beside it.
 *
 *     evaluators ──▶ postgres ◀──proxy── first  ──proxy──▶ chain ◀──proxy── second, computes beside itself
 *                                          └────proxy───▶  hub  ◀──proxy────┘
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Chain, connectChain, type Head, openWallet, type Wallet } from '@quasar/chain';
import { childrenOf, skipWithoutPostgres, startPostgres, type ThrowawayPostgres } from '@quasar/store/testing';
import { roundAt } from '@quasar/subnet';
import { nextFreePort } from '../../packages/cli/src/ports.ts';
import { writeCheckpoint } from '../../packages/subnet/src/testing/checkpoints.ts';
import { BASE, TEACHER } from '../../packages/subnet/src/testing/contest.ts';
import { Contestants } from './contestants.ts';
import { Disk } from './disk.ts';
import { Processes } from './processes.ts';
import { FaultProxy } from './proxy.ts';
import { quickRules } from './rules.ts';
import {
  describeFault,
  EVALUATORS,
  type ProcessName,
  type Scheduled,
  type Service,
  VALIDATORS,
  type ValidatorName,
} from './schedule.ts';
import { WatchedLog } from './watched-log.ts';

const TICK_MS = 100;
const STAKE = { first: 1000, second: 700 };
/** Blocks. An epoch passes before hidden weights count. */
const TEMPO = 5;
/** A process that is struck may have to be started first: a cage with the next unit, a miner with the next round. */
const APPEARS_MS = 30_000;
/** The units of an evaluator that was killed are waited for so long. */
const LEASE_SECONDS = 4;
const CAGE_PROGRAM = 'cage/child.js';

export interface FaultNetOptions {
  seed: string;
  rounds: number;
  blockTimeMs: number;
  schedule: readonly Scheduled[];
}

export class FaultNet {
  readonly home: string;
  readonly rules = quickRules();
  readonly processes: Processes;
  readonly logs: Record<ValidatorName, WatchedLog>;
  readonly wallets: Record<ValidatorName, Wallet>;
  /** Faults that this machine could do. */
  readonly struck: Scheduled[] = [];
  chain!: Chain;
  contestants!: Contestants;
  readonly #options: FaultNetOptions;
  readonly #disks: Record<ValidatorName, Disk>;
  readonly #clockFiles = new Map<string, string>();
  readonly #proxies = new Map<string, FaultProxy>();
  readonly #striking = new Set<Promise<void>>();
  #postgres: ThrowawayPostgres | null = null;
  #postgresIsBack: Promise<void> = Promise.resolve();
  #entering: Promise<void> | null = null;
  /** What has not come yet will not come any more. */
  #isOver = false;
  #firstRound = 0;
  #told = Number.NaN;
  readonly #beganMs = performance.now();

  constructor(options: FaultNetOptions) {
    this.#options = options;
    this.home = mkdtempSync(join(tmpdir(), 'quasar-faults-'));
    this.processes = new Processes(join(this.home, 'logs'));
    const each = <T>(make: (name: ValidatorName) => T) => ({ first: make('first'), second: make('second') });
    this.#disks = each((name) => new Disk(join(this.home, name)));
    this.logs = each((name) => new WatchedLog(join(this.home, name, 'validator', 'contest.sqlite')));
    this.wallets = each((name) => openWallet(join(this.home, name, 'wallets', `${name}.json`)));
  }

  async start(): Promise<void> {
    const { blockTimeMs, rounds } = this.#options;
    const ports = { chain: await nextFreePort(27_100), hub: await nextFreePort(27_300) };
    const grounds = join(this.home, 'grounds');
    this.#program('chain', grounds, [
      ...['chain', 'run', '--port', `${ports.chain}`, '--block-time-ms', `${blockTimeMs}`],
      ...['--weights-rate-blocks', '1', '--tempo', `${TEMPO}`, '--commit-reveal', 'timelocked'],
    ]);
    this.#program('hub', grounds, ['hub', 'run', '--port', `${ports.hub}`]);
    const chainUrl = `ws://127.0.0.1:${ports.chain}`;
    const hubUrl = `http://127.0.0.1:${ports.hub}`;
    this.chain = connectChain(chainUrl);
    await patiently(() => this.chain.head());
    await patiently(() => fetch(hubUrl));
    const { netuid } = this.rules;
    for (const name of VALIDATORS) {
      await this.chain.register(this.wallets[name], netuid);
      await this.chain.addStake(this.wallets[name], netuid, STAKE[name]);
    }
    this.contestants = new Contestants({
      ...{ root: join(this.home, 'miners'), chain: this.chain, chainUrl, hubUrl, netuid, total: rounds * 1.2 },
      run: (program) => this.processes.run({ ...program, clockFile: this.#clockOf(program.name) }),
    });
    await this.contestants.register();

    const rulesFile = join(this.home, 'rules.json');
    writeFileSync(rulesFile, JSON.stringify(this.rules));
    const models = ['--base', writeCheckpoint(join(this.home, 'base'), BASE)];
    models.push('--teacher', writeCheckpoint(join(this.home, 'teacher'), TEACHER));
    const queue = await this.#openQueue();
    for (const name of VALIDATORS) {
      for (const to of ['chain', 'hub'] as const) this.#proxies.set(`${name}/${to}`, await FaultProxy.open(ports[to]));
      this.#program(name, join(this.home, name), [
        ...['validator', 'run', '--name', name, '--rules', rulesFile, '--threads', '1', ...models],
        ...['--chain', `ws://127.0.0.1:${this.#wire(name, 'chain').port}`],
        ...['--hub', `http://127.0.0.1:${this.#wire(name, 'hub').port}`],
        ...(name === 'first' ? ['--evaluators', '0', '--queue', queue.ofValidator] : []),
      ]);
    }
    for (const name of EVALUATORS)
      this.#program(name, join(this.home, name), [
        ...['evaluator', 'run', '--store', queue.ofEvaluators, '--name', name, '--lease', `${LEASE_SECONDS}`],
        ...['--hub', hubUrl, '--threads', '1', ...models],
      ]);
  }

  /** On a server of its own, which the validator reaches through a wire; a file where there is none. */
  async #openQueue(): Promise<{ ofValidator: string; ofEvaluators: string }> {
    if (skipWithoutPostgres()) {
      const file = join(this.home, 'queue.sqlite');
      return { ofValidator: file, ofEvaluators: file };
    }
    this.#postgres = await startPostgres();
    const { url } = this.#postgres;
    const wire = await FaultProxy.open(Number(new URL(url).port));
    this.#proxies.set('first/queue', wire);
    return { ofValidator: url.replace(/:\d+\//, `:${wire.port}/`), ofEvaluators: url };
  }

  /** Lives through the schedule, then until both validators have finished so many rounds. */
  async run(limitMs: number): Promise<void> {
    const { rounds, schedule } = this.#options;
    const { round: timing } = this.rules;
    const left = [...schedule];
    const deadlineMs = performance.now() + limitMs;
    this.#firstRound = roundAt((await patiently(() => this.chain.head())).number, timing) + 1;
    let entered = Number.NaN;
    while (VALIDATORS.some((name) => this.logs[name].finishedRounds < rounds) || left.length > 0) {
      if (performance.now() > deadlineMs) throw new Error(`not through after ${limitMs / 1000} s: ${this.#progress()}`);
      const head = await this.#look();
      if (head) {
        this.#tell(head.number);
        const since = head.number - this.#firstRound * timing.blocks;
        while (left[0] && left[0].round * timing.blocks + left[0].offset <= since) this.#strike(left.shift()!);
        // Early in a round, so that publishing and committing are through before the cutoff of the next one; the first at once.
        const round = roundAt(head.number, timing);
        const isEarly = since < 0 || head.number % timing.blocks < timing.blocks / 2;
        if (round !== entered && isEarly && !this.#entering && this.#needsEntries()) {
          entered = round;
          this.#entering = this.contestants
            .enter((entry) => this.#isDecided(entry.revision))
            .finally(() => {
              this.#entering = null;
            });
        }
      }
      await sleep(TICK_MS);
    }
    this.#isOver = true;
    await this.#entering;
    await Promise.all(this.#striking);
  }

  /** All faults over: until both have the same king, nothing open, and the chain pays it. */
  async settle(limitMs: number): Promise<void> {
    const deadlineMs = performance.now() + limitMs;
    while (!(await this.#isSettled().catch(() => false))) {
      if (performance.now() > deadlineMs) throw new Error(`not settled after ${limitMs / 1000} s: ${this.#progress()}`);
      await sleep(TICK_MS);
      await this.#look();
    }
  }

  /** At both logs, then at the chain. @returns null while the chain is away */
  async #look(): Promise<Head | null> {
    for (const name of VALIDATORS) this.logs[name].look();
    const head = await this.chain.head().catch(() => null);
    if (head) for (const name of VALIDATORS) this.logs[name].stamp(head.number);
    return head;
  }

  async close(isGood: boolean): Promise<void> {
    await this.processes.close();
    for (const proxy of this.#proxies.values()) await proxy.close();
    await this.#postgres?.stop();
    for (const name of VALIDATORS) this.logs[name].close();
    await this.chain?.close();
    const kept = join(this.home, 'kept');
    if (!isGood) mkdirSync(kept);
    for (const name of VALIDATORS) this.#disks[name].close(isGood ? undefined : kept);
    if (isGood) rmSync(this.home, { recursive: true, force: true });
  }

  #program(name: string, home: string, args: readonly string[]): void {
    this.processes.start({ name, args: [...args, '--home', home], clockFile: this.#clockOf(name) });
  }

  #clockOf(name: string): string {
    const known = this.#clockFiles.get(name);
    if (known !== undefined) return known;
    const file = join(this.home, `${name}.clock`);
    writeFileSync(file, '0');
    this.#clockFiles.set(name, file);
    return file;
  }

  #wire(name: ValidatorName, to: Service | 'queue'): FaultProxy {
    return this.#proxies.get(`${name}/${to}`)!;
  }

  #strike(fault: Scheduled): void {
    const striking = this.#suffer(fault).catch((error) => {
      this.processes.endings.push(`${describeFault(fault)}: ${error}`);
    });
    this.#striking.add(striking);
    void striking.then(() => this.#striking.delete(striking));
  }

  async #suffer(fault: Scheduled): Promise<void> {
    const { processes } = this;
    const { forMs } = fault;
    if (fault.kind === 'kill' && fault.target === 'postgres') {
      await this.#restartPostgres(forMs);
    } else if (fault.kind === 'kill' || fault.kind === 'freeze') {
      const { kind, target } = fault;
      let pid = await this.#appears(target);
      if (target === 'miner') {
        await sleep(forMs / 2); // somewhere on its way from its start to its commitment
        pid = processes.pid(target);
      }
      if (pid === undefined) return;
      if (kind === 'freeze') {
        signal(pid, 'SIGSTOP');
        await sleep(forMs);
        signal(pid, 'SIGCONT');
      } else if (pid === processes.pid(target)) {
        await processes.kill(target, forMs);
      } else {
        signal(pid, 'SIGKILL');
      }
    } else if (fault.kind === 'wire') {
      const wire = this.#wire(fault.target, fault.to);
      wire.set(fault.fault);
      await sleep(forMs);
      wire.set(null);
    } else if (fault.kind === 'disk') {
      const disk = this.#disks[fault.target];
      if (!disk.fill(processes.pid(fault.target))) return;
      await sleep(forMs);
      disk.empty(processes.pid(fault.target));
    } else {
      writeFileSync(this.#clockOf(fault.target), String(fault.shiftMs));
    }
    this.struck.push(fault);
  }

  /** One outage after the other. */
  async #restartPostgres(forMs: number): Promise<void> {
    const before = this.#postgresIsBack;
    this.#postgresIsBack = before.then(async () => {
      await this.#postgres?.kill();
      await sleep(forMs);
      await this.#postgres?.start();
    });
    await this.#postgresIsBack;
  }

  /** Its process, as soon as there is one. */
  async #appears(target: ProcessName | 'postgres'): Promise<number | undefined> {
    for (const deadlineMs = performance.now() + APPEARS_MS; performance.now() < deadlineMs; await sleep(TICK_MS)) {
      if (this.#isOver) return undefined;
      const parent = this.processes.pid(target.replace(/^cage of /, ''));
      if (parent === undefined) continue;
      const pid = target.startsWith('cage of ') ? cageOf(parent) : parent;
      if (pid !== undefined) return pid;
    }
    return undefined;
  }

  /** Until what waits is enough for the rounds that are left. */
  #needsEntries(): boolean {
    const waiting = this.contestants.entries.filter(({ revision }) => !this.#isDecided(revision));
    const finished = Math.min(...VALIDATORS.map((name) => this.logs[name].finishedRounds));
    return finished + waiting.length < this.#options.rounds;
  }

  #isDecided(revision: string): boolean {
    return VALIDATORS.every((name) => {
      const known = [...this.logs[name].contest.submissions.values()].filter((one) => one.revision === revision);
      return known.length > 0 && known.every(({ status }) => status !== 'pending');
    });
  }

  async #isSettled(): Promise<boolean> {
    const contests = VALIDATORS.map((name) => this.logs[name].contest);
    const kings = new Set(contests.map(({ king }) => king?.id));
    if (kings.size !== 1 || contests.some(({ openRound }) => openRound !== null)) return false;
    if (!this.contestants.entries.every(({ revision }) => this.#isDecided(revision))) return false;
    const rows = await this.chain.weights(this.rules.netuid, (await this.chain.head()).number);
    const { king } = contests[0]!;
    return VALIDATORS.every((name) => {
      const row = rows.find(({ hotkey }) => hotkey === this.wallets[name].hotkey);
      return king !== null && row?.weights.some(({ uid, weight }) => uid === king.uid && weight > 0.8);
    });
  }

  /** One line to stderr per round of the chain. */
  #tell(block: number): void {
    const round = roundAt(block, this.rules.round) - this.#firstRound;
    if (round === this.#told || round < 0) return;
    this.#told = round;
    const elapsedS = Math.round((performance.now() - this.#beganMs) / 1000);
    process.stderr.write(`${elapsedS} s: round +${round}, ${this.struck.length} faults; ${this.#progress()}\n`);
  }

  #progress(): string {
    return VALIDATORS.map((name) => {
      const { contest, finishedRounds } = this.logs[name];
      const waiting = [...contest.submissions.values()].filter(({ status }) => status === 'pending');
      return `${name}: ${finishedRounds} rounds, open ${contest.openRound?.round ?? 'none'}, king ${contest.king?.repo}, ${waiting.length} wait`;
    }).join('; ');
  }
}

/** The process in which the models of `pid` run, if there is one now. */
function cageOf(pid: number): number | undefined {
  try {
    return childrenOf(pid).find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes(CAGE_PROGRAM));
  } catch {
    return undefined; // gone while it was looked at
  }
}

/** To a process that may be gone by now. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch {
      await sleep(TICK_MS);
    }
  }
}
