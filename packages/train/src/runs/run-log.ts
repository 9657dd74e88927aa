/** @file The writing side of a run: its record, its events one line at a time, its report. */
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { writeFileAtomic } from '@quasar/base';
import { cutTornLine, readEvents } from './event-file.ts';
import type { EventOf, NewRunEvent, RunEvent } from './events.ts';
import { reportPage } from './report/page.ts';
import { type FlagValues, RunFolder, type RunRecord } from './run-folder.ts';
import { takeRunLock } from './run-lock.ts';
import { RunSummary } from './run-summary.ts';

/** After these the report is written. */
const REPORTED: ReadonlySet<string> = new Set(['saved', 'rolled_back', 'interrupted', 'finished', 'failed']);

/** What a caller knows of a run before it starts; the rest of the record is found here. */
export type NewRun = Omit<RunRecord, 'version' | 'name' | 'startedAt'> & {
  flags?: FlagValues | undefined;
};

type Started = Omit<EventOf<'started'>, 'type' | 'at' | 'stage' | 'name' | 'settings' | 'data'>;

/**
 * Held by the process that trains, from before its first step to its end. A line is written whole or cut when the log is
 * opened again, so a kill at any moment leaves events that can be read and a run that can go on. Writing never stops a run:
 * what a full disk does not take is counted and told later.
 */
export class RunLog {
  readonly folder: RunFolder;
  readonly #fd: number;
  #record: RunRecord | null = null;
  #summary = new RunSummary();
  #length: number;
  #lost = 0;

  private constructor(folder: RunFolder) {
    this.folder = folder;
    this.#fd = openSync(folder.eventsFile, 'a+', 0o644);
    this.#length = cutTornLine(this.#fd);
  }

  /** Leaves what is there as it is. @param out folder of the checkpoint. @throws QuasarError train.run_active */
  static open(out: string): RunLog {
    const folder = new RunFolder(out);
    mkdirSync(folder.root, { recursive: true });
    takeRunLock(folder.lockFile);
    try {
      return new RunLog(folder);
    } catch (error) {
      rmSync(folder.lockFile, { force: true });
      throw error;
    }
  }

  /** A run begins, or goes on with what the folder holds. */
  begin({ flags, ...run }: NewRun, started: Started): RunEvent {
    const { folder } = this;
    const { stage, settings, data } = run;
    const startedAt = started.resumedAtStep === null ? null : earlierStart(folder);
    this.#record = { version: 1, name: folder.name, startedAt: startedAt ?? new Date().toISOString(), ...run };
    folder.writeRecord(this.#record, flags ?? {});
    return this.append({ type: 'started', stage, name: folder.name, settings, data, ...started });
  }

  /** @returns the event as it was written */
  append(event: NewRunEvent): RunEvent {
    const { type, ...fields } = event;
    const stamped = { type, at: new Date().toISOString(), ...fields } as RunEvent;
    if (this.#write(stamped) && this.#lost > 0) {
      const { at } = stamped;
      if (this.#write({ type: 'lost_events', at, count: this.#lost })) this.#lost = 0;
    }
    // Steps that are taken back leave no trace in a summary of all of them.
    if (type === 'started' || type === 'rolled_back') this.#summary = RunSummary.of(readEvents(this.folder.eventsFile));
    else this.#summary.add(stamped);
    if (REPORTED.has(type)) this.#report();
    return stamped;
  }

  /** Made again at the next save: a report that fails is told, and stops nothing. */
  #report(): void {
    if (!this.#record) return;
    try {
      fsyncSync(this.#fd);
      writeFileAtomic(this.folder.reportFile, reportPage(this.#record, this.#summary));
    } catch (error) {
      this.append({ type: 'report_failed', message: (error as Error).message });
    }
  }

  close(): void {
    closeSync(this.#fd);
    rmSync(this.folder.lockFile, { force: true });
  }

  /** @returns whether the whole line is in the file; part of one is never left. */
  #write(event: RunEvent): boolean {
    const line = Buffer.from(`${JSON.stringify(event)}\n`);
    try {
      const count = writeSync(this.#fd, line);
      if (count < line.length) throw new Error('short write');
      this.#length += count;
      return true;
    } catch {
      this.#lost++;
      try {
        ftruncateSync(this.#fd, this.#length);
      } catch {}
      return false;
    }
  }
}

function earlierStart(folder: RunFolder): string | null {
  try {
    return folder.readRecord().record.startedAt;
  } catch {
    return null;
  }
}
