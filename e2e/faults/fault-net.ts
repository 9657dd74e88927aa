/**
 * @file A net of real processes with a bad world between them: a chain with hidden weights, a hub, two validators that each
 * see both through wires of their own, on disks of their own, with calendars of their own; six miners beside it.
 *
 *     evaluators ──▶ postgres ◀──proxy── first  ──proxy──▶ chain ◀──proxy── second, computes beside itself
 *                                          └────proxy───▶  hub  ◀──proxy────┘
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Chain, connectChain, type Head, openWallet, type Wallet } from '@quasar/chain';
import { skipWithoutPostgres, startPostgres, type ThrowawayPostgres } from '@quasar/store/testing';
import { firstEligibleRound, roundAt } from '@quasar/subnet';
import { nextFreePort } from '../../packages/cli/src/ports.ts';
import { writeCheckpoint } from '../../packages/subnet/src/testing/checkpoints.ts';
import { BASE, TEACHER } from '../../packages/subnet/src/testing/contest.ts';
import { Contestants } from './contestants.ts';
import { Disk } from './disk.ts';
import { Processes } from './processes.ts';
import { FaultProxy } from './proxy.ts';
import { quickRules } from './rules.ts';
import { EVALUATORS, type Scheduled, type Service, VALIDATORS, type ValidatorName } from './schedule.ts';
import { Striker } from './striker.ts';
import { WatchedLog } from './watched-log.ts';

const TICK_MS = 100;
const STAKE = { first: 1000, second: 700 };
const LOWEST_PORT = 20_000;
const NETS = 1000;
/** Blocks. An epoch passes before hidden weights count. */
const TEMPO = 5;
/** Until everybody can read a commitment. */
const REVEAL_BLOCKS = 2;
/** The units of an evaluator that was killed are waited for so long. */
const LEASE_SECONDS = 4;

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
  chain!: Chain;
  contestants!: Contestants;
  readonly #options: FaultNetOptions;
  readonly #disks: Record<ValidatorName, Disk>;
  readonly #clockFiles = new Map<string, string>();
  readonly #proxies = new Map<string, FaultProxy>();
  #postgres: ThrowawayPostgres | null = null;
  #striker!: Striker;
  #entering: Promise<void> | null = null;
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
    // Not from where ports of outgoing connections come from, and not where another net looks at this moment.
    const place = LOWEST_PORT + (process.pid % NETS) * 10;
    const ports = { chain: await nextFreePort(place), hub: await nextFreePort(place + 5) };
    const grounds = join(this.home, 'grounds');
    this.#program('chain', grounds, [
      ...['chain', 'run', '--port', `${ports.chain}`, '--block-time-ms', `${blockTimeMs}`],
      ...['--weights-rate-blocks', '1', '--tempo', `${TEMPO}`, '--commit-reveal', 'timelocked'],
    ]);
    this.#program('hub', grounds, ['hub', 'run', '--port', `${ports.hub}`]);
    const queue = await this.#openQueue();
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
    const entered = this.contestants.enter(() => false);

    const rulesFile = join(this.home, 'rules.json');
    writeFileSync(rulesFile, JSON.stringify(this.rules));
    const models = ['--base', writeCheckpoint(join(this.home, 'base'), BASE)];
    models.push('--teacher', writeCheckpoint(join(this.home, 'teacher'), TEACHER));
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
    await entered;
    this.#striker = new Striker({
      processes: this.processes,
      postgres: this.#postgres,
      disk: (name) => this.#disks[name],
      wire: (name, to) => this.#wire(name, to),
      clockFile: (name) => this.#clockOf(name),
      isMeasuring: (name) => this.logs[name].contest.openRound?.verdict === null,
    });
  }

  /** Faults that this machine could do. */
  get struck(): readonly Scheduled[] {
    return this.#striker.struck;
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
    // The round that the first entry takes part in.
    const { number: startBlock } = await patiently(() => this.chain.head());
    this.#firstRound = firstEligibleRound(startBlock + REVEAL_BLOCKS, timing);
    let entered = Number.NaN;
    while (VALIDATORS.some((name) => this.logs[name].finishedRounds < rounds) || left.length > 0) {
      if (performance.now() > deadlineMs) throw new Error(`not through after ${limitMs / 1000} s: ${this.#progress()}`);
      const head = await this.#look();
      if (head) {
        this.#tell(head.number);
        const since = head.number - this.#firstRound * timing.blocks;
        while (left[0] && left[0].round * timing.blocks + left[0].offset <= since) this.#striker.strike(left.shift()!);
        // Early in a round, so that publishing and committing are through before the cutoff of the next one.
        const round = roundAt(head.number, timing);
        const isEarly = since >= 0 && head.number % timing.blocks < timing.blocks / 2;
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
    await this.#entering;
    await this.#striker.end();
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

async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch {
      await sleep(TICK_MS);
    }
  }
}
