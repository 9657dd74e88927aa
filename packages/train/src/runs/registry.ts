/**
 * @file Runs that are known: folders under `<home>/runs`, and runs elsewhere that left a pointer `<home>/runs/<name>.json` there.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { QuasarError, writeFileAtomic } from '@quasar/base';
import { latestEvents } from './event-file.ts';
import { RunFolder } from './run-folder.ts';
import { lockHolder } from './run-lock.ts';
import { mainMetric, type RunState } from './run-summary.ts';

/** How deep `scanRuns` looks below a folder. */
const SCAN_DEPTH = 4;

export interface KnownRun {
  name: string;
  folder: RunFolder;
}

/** A line of the list of runs; null: not told yet. */
export interface RunRow {
  name: string;
  folder: string;
  stage: string;
  state: RunState | 'damaged';
  step: number | null;
  steps: number | null;
  /** Of the newest step and evaluation, nats per token. */
  loss: number | null;
  heldOut: number | null;
  tokensPerSecond: number | null;
  startedAt: string | null;
  /** Checkpoint, resume point and record. */
  sizeBytes: number;
}

/** Remembers a run that lies outside of `root`; repeating it changes nothing. @returns the name it is known by */
export function registerRun(root: string, out: string): string {
  const folder = new RunFolder(out);
  if (resolve(folder.out, '..') === resolve(root)) return folder.name;
  mkdirSync(root, { recursive: true });
  for (let n = 1; ; n++) {
    const name = n === 1 ? folder.name : `${folder.name}-${n}`;
    const target = pointerTarget(join(root, `${name}.json`));
    if (target === folder.out) return name;
    if (existsSync(join(root, name)) || (target !== null && isRun(target))) continue;
    writeFileAtomic(join(root, `${name}.json`), `${JSON.stringify({ folder: folder.out })}\n`);
    return name;
  }
}

/** Runs under `root` and those it points to, by name. */
export function knownRuns(root: string): KnownRun[] {
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .sort()
    .flatMap((entry) => {
      const pointed = entry.endsWith('.json') ? pointerTarget(join(root, entry)) : null;
      const out = pointed ?? join(root, entry);
      return isRun(out)
        ? [{ name: pointed === null ? entry : entry.slice(0, -'.json'.length), folder: new RunFolder(out) }]
        : [];
    });
}

/** Runs in a folder and below it, named by their path from there. @throws QuasarError runs.unknown */
export function scanRuns(root: string): KnownRun[] {
  const found: KnownRun[] = [];
  const look = (path: string, name: string, depth: number) => {
    if (isRun(path)) found.push({ name: name === '' ? new RunFolder(path).name : name, folder: new RunFolder(path) });
    if (depth === 0) return;
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
        look(join(path, entry.name), name === '' ? entry.name : `${name}/${entry.name}`, depth - 1);
  };
  try {
    look(resolve(root), '', SCAN_DEPTH);
  } catch (cause) {
    throw new QuasarError('runs.unknown', `${root}: cannot read this folder`, {
      hint: 'give a folder with runs',
      cause,
    });
  }
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

/** @param text a folder, the name of a known run, or the beginning of one name. @throws QuasarError runs.unknown, runs.ambiguous */
export function findRun(root: string, text: string): KnownRun {
  const runs = knownRuns(root);
  const exact = runs.find(({ name }) => name === text);
  if (exact) return exact;
  if (isRun(text)) return { name: new RunFolder(text).name, folder: new RunFolder(text) };
  const fitting = runs.filter(({ name }) => name.startsWith(text));
  if (fitting.length === 1) return fitting[0] as KnownRun;
  if (fitting.length === 0) {
    throw new QuasarError('runs.unknown', `no run is called ${text}, and no run lies in a folder of this name`, {
      hint: '`quasar runs list` names those that are known',
    });
  }
  throw new QuasarError('runs.ambiguous', `${text} fits ${fitting.map(({ name }) => name).join(', ')}`, {
    hint: 'give more of the name',
  });
}

/** A run goes on while the process that holds its lock lives. */
export function runState(
  folder: RunFolder,
  end: { type: 'finished' | 'interrupted' | 'failed' } | null | undefined,
): RunState {
  if (lockHolder(folder.lockFile) !== null) return 'running';
  if (!end) return 'killed';
  return end.type === 'finished' ? 'done' : end.type;
}

/** From the record and the end of the events: the length of the run does not matter. */
export function runRow({ name, folder }: KnownRun): RunRow {
  const { step, evaluation, end } = latestEvents(folder.eventsFile);
  const row = {
    name,
    folder: folder.out,
    step: step?.step ?? null,
    steps: step?.steps ?? null,
    loss: mainValue(step?.metrics),
    heldOut: mainValue(Object.values(evaluation?.heldOut ?? {})[0]),
    tokensPerSecond: step?.tokensPerSecond ?? null,
    sizeBytes: bytesIn(folder.out) + bytesIn(folder.root),
  };
  try {
    const { record } = folder.readRecord();
    return { ...row, stage: record.stage, state: runState(folder, end), startedAt: record.startedAt };
  } catch {
    return { ...row, stage: '', state: 'damaged', startedAt: null };
  }
}

function mainValue(metrics: Record<string, number> = {}): number | null {
  const name = mainMetric(metrics);
  return name === null ? null : (metrics[name] ?? null);
}

function isRun(out: string): boolean {
  return existsSync(new RunFolder(out).recordFile);
}

function pointerTarget(path: string): string | null {
  try {
    const { folder } = JSON.parse(readFileSync(path, 'utf8')) as { folder?: unknown };
    return typeof folder === 'string' ? folder : null;
  } catch {
    return null;
  }
}

/** Of its files, not of folders below. A file may go while it is counted. */
function bytesIn(path: string): number {
  if (!existsSync(path)) return 0;
  return readdirSync(path).reduce((sum, entry) => {
    const found = statSync(join(path, entry), { throwIfNoEntry: false });
    return sum + (found?.isFile() ? found.size : 0);
  }, 0);
}
