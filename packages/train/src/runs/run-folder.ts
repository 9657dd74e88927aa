/**
 * @file Where a run keeps its record: `OUT/run/`, beside the checkpoint that it makes.
 *
 *     run.json      how it was started: also a file for `quasar <stage> --config`
 *     events.jsonl  what it told, line by line
 *     report.html   the same for people
 *     lock          the process that trains now
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { QuasarError, writeFileAtomic } from '@quasar/base';
import type { Device } from '@quasar/tensor';

const RECORD_VERSION = 1;

/** What a run is, as it was started. */
export interface RunRecord {
  version: typeof RECORD_VERSION;
  /** The verb. */
  stage: string;
  name: string;
  /** ISO 8601. */
  startedAt: string;
  /** Of the package that trained. */
  quasar: string;
  host: {
    device: string;
    threads: number;
    isa: string;
    cores: number;
    processor: string;
    platform: string;
    node: string;
  };
  /** Settings of the trainer with every default filled in. */
  settings: Record<string, unknown>;
  /** What the settings of this stage are when nothing is chosen. */
  defaults: Record<string, unknown>;
  /** `specs`: what reads the same again as `--data`. */
  data: { name: string; fingerprint?: string | undefined; specs?: string[] | undefined };
  /** `digest`: of what the run starts from (a seed names a fresh model). */
  model: { family: string; parameters: number; digest?: string | undefined };
}

/** Values of a verb's flags by name, as `--config` takes them; paths are absolute. */
export type FlagValues = Record<string, string | number | boolean | (string | number)[]>;

export class RunFolder {
  /** Holds the checkpoint; absolute. */
  readonly out: string;

  constructor(out: string) {
    this.out = resolve(out);
  }

  get name(): string {
    return basename(this.out);
  }
  get root(): string {
    return join(this.out, 'run');
  }
  get recordFile(): string {
    return join(this.root, 'run.json');
  }
  get eventsFile(): string {
    return join(this.root, 'events.jsonl');
  }
  get reportFile(): string {
    return join(this.root, 'report.html');
  }
  get lockFile(): string {
    return join(this.root, 'lock');
  }

  /** `{"<stage>": flags, "run": record}`: `--config` reads the flags and leaves `run` alone. */
  writeRecord(record: RunRecord, flags: FlagValues): void {
    const content = { [record.stage]: flags, run: record };
    writeFileAtomic(this.recordFile, `${JSON.stringify(content, null, 2)}\n`);
  }

  /** @throws QuasarError runs.unknown, runs.damaged */
  readRecord(): { record: RunRecord; flags: FlagValues } {
    let text: string;
    try {
      text = readFileSync(this.recordFile, 'utf8');
    } catch (cause) {
      throw new QuasarError('runs.unknown', `${this.out} holds no run: cannot read ${this.recordFile}`, {
        hint: '`quasar runs list` names those that are known',
        cause,
      });
    }
    const damaged = (why: string) =>
      new QuasarError('runs.damaged', `${this.recordFile}: ${why}`, {
        hint: 'start the run again with the same flags: it writes the file anew',
      });
    let content: Record<string, unknown>;
    try {
      content = JSON.parse(text);
    } catch (cause) {
      throw damaged((cause as Error).message);
    }
    const record = content?.run as Partial<RunRecord> | undefined;
    if (record?.version !== RECORD_VERSION || typeof record.stage !== 'string' || typeof record.settings !== 'object')
      throw damaged(`expected the record of a run, version ${RECORD_VERSION}`);
    return { record: record as RunRecord, flags: (content[record.stage] ?? {}) as FlagValues };
  }
}

/** What computes here. */
export function hostOf({ name, threads, isa }: Device): RunRecord['host'] {
  const cores = cpus();
  return {
    device: name,
    threads,
    isa,
    cores: cores.length,
    processor: cores[0]?.model.trim() ?? 'unknown',
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
  };
}
