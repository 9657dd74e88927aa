/** @file Lets the faults of a schedule happen to a net: each on its own, beside all others. */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf, type ThrowawayPostgres } from '@quasar/store/testing';
import type { Disk } from './disk.ts';
import type { Processes } from './processes.ts';
import type { FaultProxy } from './proxy.ts';
import { describeFault, type Scheduled, type Service, type ValidatorName } from './schedule.ts';

const TICK_MS = 50;
/** A fault that waits for work, or for a process: a cage comes with a unit, a miner with a round. */
const APPEARS_MS = 30_000;
const CAGE_PROGRAM = 'cage/child.js';

/** Where it hurts. */
export interface Victims {
  processes: Processes;
  postgres: ThrowawayPostgres | null;
  disk(of: ValidatorName): Disk;
  wire(from: ValidatorName, to: Service | 'queue'): FaultProxy;
  /** File with the shift of the calendar of a process. */
  clockFile(of: string): string;
  /** Whether a round of this validator is being measured. */
  isMeasuring(validator: ValidatorName): boolean;
}

export class Striker {
  /** Those that this machine could do, done. */
  readonly struck: Scheduled[] = [];
  readonly #victims: Victims;
  readonly #striking = new Set<Promise<void>>();
  #isOver = false;
  #postgresIsBack: Promise<void> = Promise.resolve();

  constructor(victims: Victims) {
    this.#victims = victims;
  }

  strike(fault: Scheduled): void {
    const striking = this.#suffer(fault).catch((error) => {
      this.#victims.processes.endings.push(`${describeFault(fault)}: ${error}`);
    });
    this.#striking.add(striking);
    void striking.then(() => this.#striking.delete(striking));
  }

  /** Until the last of them is over; what waits for work that will not come any more is left out. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#striking);
  }

  async #suffer(fault: Scheduled): Promise<void> {
    const { processes, disk, wire, clockFile, isMeasuring } = this.#victims;
    const { forMs, atWorkOf } = fault;
    if (atWorkOf !== null) {
      await this.#appears(() => isMeasuring(atWorkOf) || undefined);
      await sleep(forMs / 4); // somewhere in it
    }
    if (this.#isOver) return;
    if (fault.kind === 'kill' && fault.target === 'postgres') {
      await this.#restartPostgres(forMs);
    } else if (fault.kind === 'kill' || fault.kind === 'freeze') {
      if (!(await this.#strikeProcess(fault.kind, fault.target, forMs))) return;
    } else if (fault.kind === 'wire') {
      wire(fault.target, fault.to).set(fault.fault);
      await sleep(forMs);
      wire(fault.target, fault.to).set(null);
    } else if (fault.kind === 'disk') {
      if (!disk(fault.target).fill(processes.pid(fault.target))) return;
      await sleep(forMs);
      disk(fault.target).empty(processes.pid(fault.target));
    } else {
      writeFileSync(clockFile(fault.target), String(fault.shiftMs));
    }
    this.struck.push(fault);
  }

  async #strikeProcess(kind: 'kill' | 'freeze', target: string, forMs: number): Promise<boolean> {
    const { processes } = this.#victims;
    const find = () => {
      const parent = processes.pid(target.replace(/^cage of /, ''));
      return parent !== undefined && target.startsWith('cage of ') ? cageOf(parent) : parent;
    };
    await this.#appears(find);
    if (target === 'miner') await sleep(forMs / 2); // somewhere on its way from its start to its commitment
    const pid = find();
    if (pid === undefined) return false;
    if (kind === 'freeze') {
      signal(pid, 'SIGSTOP');
      await sleep(forMs);
      signal(pid, 'SIGCONT');
    } else if (pid === processes.pid(target)) {
      await processes.kill(target, forMs);
    } else {
      signal(pid, 'SIGKILL');
    }
    return true;
  }

  /** One outage after the other. */
  async #restartPostgres(forMs: number): Promise<void> {
    const { postgres } = this.#victims;
    this.#postgresIsBack = this.#postgresIsBack.then(async () => {
      await postgres?.kill();
      await sleep(forMs);
      await postgres?.start();
    });
    await this.#postgresIsBack;
  }

  async #appears(find: () => unknown): Promise<void> {
    const deadlineMs = performance.now() + APPEARS_MS;
    while (find() === undefined && !this.#isOver && performance.now() < deadlineMs) await sleep(TICK_MS);
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
