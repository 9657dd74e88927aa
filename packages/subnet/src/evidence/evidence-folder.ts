/**
 * @file The evidence of verdicts: every unit of a round with its result, the bytes those name, and the rules. It is what
 * a replay starts from, so it is written before the event that rests on it.
 *
 *     rules/<config hash>.json              every number of the contest
 *     <round>/units/<kind>/<name>/<from>.json     what was asked of whom, and what came back
 *     <round>/blobs/<sha256>                teacher traces, KL per token
 *
 * Whole files or none, and nothing is ever changed. Blobs of old rounds are thrown away, units are kept: a replay makes
 * the teacher's traces again, and knows by their digests whether they are the same.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { canonicalJson, QuasarError, sha256Hex, writeFileAtomic } from '@quasar/base';
import { z } from 'zod';
import type { UnitKind } from '../evaluation/units.ts';
import { configHash, parseSubnetConfig, type SubnetConfig, UPSTREAM } from '../rules/config.ts';

/** One unit as it went through the queue. */
export interface KeptUnit {
  kind: UnitKind;
  /** Id of the model whose unit it was. */
  name: string;
  /** First row among all rows of its kind and name. */
  from: number;
  /** As it was handed to an evaluator. */
  payload: unknown;
  /** As it came back. */
  result: unknown;
}

const stored = z.strictObject({ payload: z.unknown(), result: z.unknown() });

/** Within a validator's work directory. */
export const EVIDENCE_FOLDER = 'evidence';

/** Rounds whose blobs stay. At 300 prompts of 1024 tokens one round has about 0.4 GB of them. */
const ROUNDS_WITH_BLOBS = 20;

export class EvidenceFolder {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** @throws QuasarError `evidence.unwritable`, to be tried again */
  keepRules(config: SubnetConfig): void {
    const path = this.#rules(configHash(config));
    if (!existsSync(path)) write(path, canonicalJson(config));
  }

  /** @param blobs by sha256: those that the unit's result names. @throws QuasarError `evidence.unwritable`, to be tried again */
  keepUnit(round: number, unit: KeptUnit, blobs: ReadonlyMap<string, Uint8Array>): void {
    for (const [sha256, bytes] of blobs) {
      const path = this.#blob(round, sha256);
      if (!existsSync(path)) write(path, bytes);
    }
    const { payload, result } = unit;
    const path = this.#unit(round, unit);
    if (!existsSync(path)) write(path, canonicalJson({ payload, result }));
  }

  /** @throws QuasarError `evidence.missing` | `evidence.damaged` | `evidence.other_rules` */
  rules(hash: string): SubnetConfig {
    const kept = this.keptRules(hash);
    const rules = parseSubnetConfig(kept);
    if (rules.ok && configHash(rules.value) === hash) return rules.value;
    const path = this.#rules(hash);
    const version = (kept as { rulesVersion?: unknown } | null)?.rulesVersion;
    if (typeof version !== 'string' || version === UPSTREAM.rulesVersion)
      throw damaged(path, 'these are not the rules it is named after');
    throw new QuasarError(
      'evidence.other_rules',
      `${path}: rules of version ${version}, this Quasar judges by version ${UPSTREAM.rulesVersion}`,
      {
        hint: 'Replay with the version of Quasar that judged: the last `validator.started` before the round names it.',
      },
    );
  }

  /** Rules of any version, unread. @throws QuasarError `evidence.missing` | `evidence.damaged` */
  keptRules(hash: string): unknown {
    const path = this.#rules(hash);
    return parseJson(path, read(path, 'the rules of this round'));
  }

  /** Units of one kind and model in the order of their rows; none when nothing was kept. @throws QuasarError `evidence.damaged` */
  units(round: number, kind: UnitKind, name: string): KeptUnit[] {
    const folder = dirname(this.#unit(round, { kind, name, from: 0 }));
    const rows = list(folder)
      .filter((file) => /^\d+\.json$/.test(file))
      .map((file) => Number(file.slice(0, -5)))
      .sort((a, b) => a - b);
    return rows.map((from) => {
      const path = join(folder, `${from}.json`);
      const parsed = stored.safeParse(parseJson(path, readFileSync(path, 'utf8')));
      if (!parsed.success) throw damaged(path, 'it is no unit with its result');
      return { kind, name, from, payload: parsed.data.payload, result: parsed.data.result };
    });
  }

  /** Null when it was thrown away. @throws QuasarError `evidence.damaged` */
  blob(round: number, sha256: string): Uint8Array | null {
    const path = this.#blob(round, sha256);
    if (!existsSync(path)) return null;
    const bytes = readFileSync(path);
    if (sha256Hex(bytes) !== sha256) throw damaged(path, 'its content is not the one it is named after');
    return bytes;
  }

  /** Where a unit lies, within the folder. */
  placeOf(round: number, { kind, name, from }: Pick<KeptUnit, 'kind' | 'name' | 'from'>): string {
    return relative(this.#root, this.#unit(round, { kind, name, from }));
  }

  /** Throws away the blobs of all but the newest rounds. */
  prune(): void {
    const rounds = list(this.#root)
      .filter((name) => /^\d+$/.test(name))
      .sort((a, b) => Number(b) - Number(a));
    for (const round of rounds.slice(ROUNDS_WITH_BLOBS))
      rmSync(join(this.#root, round, 'blobs'), { recursive: true, force: true });
  }

  #rules(hash: string): string {
    return join(this.#root, 'rules', `${hash}.json`);
  }

  #unit(round: number, { kind, name, from }: Pick<KeptUnit, 'kind' | 'name' | 'from'>): string {
    return join(this.#root, String(round), 'units', kind, encodeURIComponent(name), `${from}.json`);
  }

  #blob(round: number, sha256: string): string {
    return join(this.#root, String(round), 'blobs', sha256);
  }
}

function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

function read(path: string, what: string): string {
  if (existsSync(path)) return readFileSync(path, 'utf8');
  throw missingEvidence(`${path}: ${what} are not there`);
}

/** @param what is not there */
export function missingEvidence(what: string): QuasarError {
  return new QuasarError('evidence.missing', what, {
    hint: 'Evidence is kept beside the log of the validator that judged: give its home with --home, or restore the folder.',
  });
}

/** A full disk passes: the verdict waits for its evidence. */
function write(path: string, data: string | Uint8Array): void {
  try {
    writeFileAtomic(path, data);
  } catch (cause) {
    throw new QuasarError('evidence.unwritable', `${path}: cannot be written: ${(cause as Error).message}`, {
      hint: 'Make room on the disk. There is no verdict without its evidence.',
      retry: 'later',
      cause,
    });
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(path, 'it is not JSON');
  }
}

function damaged(path: string, why: string): QuasarError {
  return new QuasarError('evidence.damaged', `${path}: ${why}`, {
    hint: 'Restore the file from a copy, or ask another validator for its evidence.',
  });
}
