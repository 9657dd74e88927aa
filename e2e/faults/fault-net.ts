/**
 * @file A net of real processes with a bad world between them: a chain, a hub, two validators that each see both through
 * wires of their own, on disks of their own, with calendars of their own; six miners beside it.
 *
 *     first  ──proxy──▶ chain ◀──proxy── second
 *       └────proxy───▶  hub  ◀──proxy────┘
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Chain, connectChain, openWallet, type Wallet } from '@quasar/chain';
import { roundAt } from '@quasar/subnet';
import { nextFreePort } from '../../packages/cli/src/ports.ts';
import { writeCheckpoint } from '../../packages/subnet/src/testing/checkpoints.ts';
import { BASE, TEACHER } from '../../packages/subnet/src/testing/contest.ts';
import { Contestants } from './contestants.ts';
import { Disk } from './disk.ts';
import { Processes, type Program } from './processes.ts';
import { FaultProxy } from './proxy.ts';
import { quickRules } from './rules.ts';
import { describeFault, type Scheduled, type Service, VALIDATORS, type ValidatorName } from './schedule.ts';
import { WatchedLog } from './watched-log.ts';

const TICK_MS = 100;
const STAKE = { first: 1000, second: 700 };

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
  readonly #programs = new Map<string, Program>();
  readonly #proxies = new Map<string, FaultProxy>();
  readonly #striking = new Set<Promise<void>>();
  #firstRound = 0;

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
      ...['--weights-rate-blocks', '1', '--tempo', '5'],
    ]);
    this.#program('hub', grounds, ['hub', 'run', '--port', `${ports.hub}`]);
    this.chain = connectChain(`ws://127.0.0.1:${ports.chain}`);
    const hubUrl = `http://127.0.0.1:${ports.hub}`;
    await patiently(() => this.chain.head());
    await patiently(() => fetch(hubUrl));
    for (const name of VALIDATORS) {
      await this.chain.register(this.wallets[name], this.rules.netuid);
      await this.chain.addStake(this.wallets[name], this.rules.netuid, STAKE[name]);
    }
    const own = { root: join(this.home, 'miners'), chain: this.chain, netuid: this.rules.netuid, hubUrl };
    this.contestants = new Contestants({ ...own, total: rounds * 1.2 });
    await this.contestants.register();

    const rulesFile = join(this.home, 'rules.json');
    writeFileSync(rulesFile, JSON.stringify(this.rules));
    const base = writeCheckpoint(join(this.home, 'base'), BASE);
    const teacher = writeCheckpoint(join(this.home, 'teacher'), TEACHER);
    for (const name of VALIDATORS) {
      for (const to of ['chain', 'hub'] as const) this.#proxies.set(`${name}/${to}`, await FaultProxy.open(ports[to]));
      this.#program(name, join(this.home, name), [
        ...['validator', 'run', '--name', name, '--rules', rulesFile, '--base', base, '--teacher', teacher],
        ...['--chain', `ws://127.0.0.1:${this.#wire(name, 'chain').port}`],
        ...['--hub', `http://127.0.0.1:${this.#wire(name, 'hub').port}`],
      ]);
    }
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
      for (const name of VALIDATORS) this.logs[name].look();
      const head = await this.chain.head().catch(() => null);
      if (head) {
        const since = head.number - this.#firstRound * timing.blocks;
        while (left[0] && left[0].round * timing.blocks + left[0].offset <= since) this.#strike(left.shift()!);
        // Early in a round, so that publishing and committing are through before the cutoff of the next one.
        const round = roundAt(head.number, timing);
        if (round !== entered && head.number % timing.blocks < timing.blocks / 2)
          await this.contestants
            .enter((entry) => this.#isDecided(entry.revision))
            .then(
              () => {
                entered = round;
              },
              () => {}, // the chain or the hub is away: at the next look again
            );
      }
      await sleep(TICK_MS);
    }
    await Promise.all(this.#striking);
  }

  /** All faults over: until both have the same king, nothing open, and the chain pays it. */
  async settle(limitMs: number): Promise<void> {
    const deadlineMs = performance.now() + limitMs;
    while (!(await this.#isSettled().catch(() => false))) {
      if (performance.now() > deadlineMs) throw new Error(`not settled after ${limitMs / 1000} s: ${this.#progress()}`);
      await sleep(TICK_MS);
      for (const name of VALIDATORS) this.logs[name].look();
    }
  }

  async close(isGood: boolean): Promise<void> {
    await this.processes.close();
    for (const proxy of this.#proxies.values()) await proxy.close();
    for (const name of VALIDATORS) this.logs[name].close();
    await this.chain?.close();
    const kept = join(this.home, 'kept');
    if (!isGood) mkdirSync(kept);
    for (const name of VALIDATORS) this.#disks[name].close(isGood ? undefined : kept);
    if (isGood) rmSync(this.home, { recursive: true, force: true });
  }

  #program(name: string, home: string, args: readonly string[]): void {
    const clockFile = join(this.home, `${name}.clock`);
    writeFileSync(clockFile, '0');
    const program = { name, args: [...args, '--home', home], clockFile };
    this.#programs.set(name, program);
    this.processes.start(program);
  }

  #wire(name: ValidatorName, to: Service): FaultProxy {
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
    const { kind, target, forMs } = fault;
    if (kind === 'kill') {
      await processes.kill(target);
      await sleep(forMs);
      processes.start(this.#programs.get(target)!);
    } else if (kind === 'freeze') {
      processes.signal(target, 'SIGSTOP');
      await sleep(forMs);
      processes.signal(target, 'SIGCONT');
    } else if (kind === 'wire') {
      const wire = this.#wire(fault.target, fault.to);
      wire.set(fault.fault);
      await sleep(forMs);
      wire.set(null);
    } else if (kind === 'disk') {
      const disk = this.#disks[fault.target];
      if (!disk.fill(processes.pid(target))) return;
      await sleep(forMs);
      disk.empty(processes.pid(target));
    } else {
      writeFileSync(this.#programs.get(target)!.clockFile, String(fault.shiftMs));
    }
    this.struck.push(fault);
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
