/**
 * @file The units of a past round, answered by its evidence or by the models once more. Whoever measures a round asks; what
 * is asked, what was kept and what the models say now are compared on the way.
 */
import { canonicalJson, QuasarError, sha256Hex } from '@quasar/base';
import { mean } from '@quasar/evals';
import type { Trace } from '@quasar/infer';
import type { UnitRunner } from '../evaluation/compute.ts';
import type { UnitSource } from '../evaluation/dispatch.ts';
import type { ModelStore } from '../evaluation/model-store.ts';
import { decodeTraces } from '../evaluation/trace-blob.ts';
import {
  readResult,
  readUnit,
  type Unit,
  type UnitKind,
  type UnitResult,
  unitBlobs,
  unitModels,
  unitPayload,
} from '../evaluation/units.ts';
import { type Difference, differences } from './differences.ts';
import { type EvidenceFolder, type KeptUnit, missingEvidence } from './evidence-folder.ts';
import { splitTokens } from './per-token.ts';

export interface EvidenceUnitsOptions {
  evidence: EvidenceFolder;
  round: number;
  /** Who computes what again; null: the kept results are taken as they are. */
  again: { models: Pick<ModelStore, 'directory'>; runner: UnitRunner; names: ReadonlySet<string> } | null;
  signal: AbortSignal;
  /** A unit of a model is about to be computed. */
  onUnit?: ((kind: UnitKind, name: string) => void) | undefined;
}

/** What was compared, and what was not the same. */
export interface Comparison {
  compared: number;
  differences: Difference[];
}

export class EvidenceUnits implements UnitSource {
  /** Everything asked of a model: prompts, limits, seeds of sampling, and which model. */
  readonly asked: Comparison = { compared: 0, differences: [] };
  /** The kept bytes: by their digests, their prompts, and the KL per prompt that they come to. */
  readonly bytes: Comparison = { compared: 0, differences: [] };
  /** Results computed again. */
  readonly computed = new Map<UnitKind, Comparison>();
  readonly #options: EvidenceUnitsOptions;
  /** Traces by digest as they were made now: blobs of old rounds are gone. */
  readonly #made = new Map<string, Uint8Array>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: EvidenceUnitsOptions) {
    this.#options = options;
  }

  /**
   * As `RoundJobs.results`; one caller after the other, and none after a failure.
   * @throws QuasarError `evidence.*`; computing again, `hub.*`, `evaluation.*` too
   */
  results<K extends UnitKind>(
    name: string,
    units: readonly Extract<Unit, { kind: K }>[],
    from: readonly number[],
    onDone: (sofar: readonly (UnitResult<K> | undefined)[]) => void = () => {},
  ): Promise<UnitResult<K>[]> {
    const answered = this.#turn.then(async () => {
      const { evidence, round } = this.#options;
      const kept = units[0] ? evidence.units(round, units[0].kind, name) : [];
      const done: UnitResult<K>[] = [];
      for (const [i, unit] of units.entries()) {
        const row = from[i]!;
        const one = kept.find((unit) => unit.from === row);
        done.push((await this.#answer(name, unit, row, one)) as UnitResult<K>);
        onDone(done);
      }
      return done;
    });
    this.#turn = answered;
    return answered;
  }

  async #answer(name: string, unit: Unit, from: number, kept: KeptUnit | undefined): Promise<UnitResult<UnitKind>> {
    const { evidence, round, again, signal, onUnit } = this.#options;
    if (signal.aborted) throw new QuasarError('evidence.stopped', 'the replay was stopped');
    const { kind } = unit;
    const place = evidence.placeOf(round, { kind, name, from });
    const isComputed = again?.names.has(name) === true;
    if (!kept && !isComputed) throw missingEvidence(`${place} is not there`);
    this.asked.compared++;
    this.asked.differences.push(...askedDifferences(unit, kept, place));
    let result = kept?.result;
    if (isComputed) {
      onUnit?.(kind, name);
      result = await this.#compute(unit);
      const check = this.computed.get(kind) ?? { compared: 0, differences: [] };
      this.computed.set(kind, check);
      check.compared++;
      if (kept) check.differences.push(...differences(result, kept.result, `${place}: result`));
    }
    const read = readResult(kind, result);
    if (read === null) throw unreadable(place);
    this.#compareBytes(unit, read, place);
    return read;
  }

  async #compute(unit: Unit): Promise<Record<string, unknown>> {
    const { evidence, round, again, signal } = this.#options;
    const { models, runner } = again!;
    const directories = await Promise.all(unitModels(unit).map((ref) => models.directory(ref, signal)));
    const blobs = unitBlobs(unit).map((sha256) => this.#made.get(sha256) ?? evidence.blob(round, sha256));
    if (blobs.some((bytes) => bytes === null))
      throw missingEvidence(`${round}/blobs/${unitBlobs(unit).join()} is not there`);
    const { result, blob } = await runner.run({ unit, directories, blobs: blobs as Uint8Array[] }, { signal });
    if (blob === null) return result;
    const sha256 = sha256Hex(blob.bytes);
    if (unit.kind === 'traces') this.#made.set(sha256, blob.bytes);
    return { ...result, [blob.name]: sha256 };
  }

  #compareBytes(unit: Unit, result: UnitResult<UnitKind>, place: string): void {
    if (unit.kind === 'traces' && 'traces' in result) {
      const traces = this.#kept(result.traces, decodeTraces);
      if (traces) this.#same(promptsOf(traces), promptsOf(unit.prompts.map((prompt) => ({ prompt }))), place);
    }
    if (unit.kind === 'kl' && 'perToken' in result) {
      const perPrompt = this.#kept(result.perToken, (bytes) => splitTokens(bytes, result.tokens).map(mean));
      if (perPrompt) this.#same(perPrompt, result.perPrompt, place);
    }
  }

  #same(got: unknown, expected: unknown, place: string): void {
    this.bytes.differences.push(...differences(got, expected, `the bytes of ${place}: `));
  }

  /** Null where there is nothing to compare: thrown away, or damaged, which is said. */
  #kept<T>(sha256: string, read: (bytes: Uint8Array) => T): T | null {
    const { evidence, round } = this.#options;
    try {
      const bytes = evidence.blob(round, sha256);
      if (bytes === null) return null;
      const value = read(bytes);
      this.bytes.compared++;
      return value;
    } catch (error) {
      if (!(error instanceof QuasarError)) throw error;
      this.bytes.compared++;
      this.bytes.differences.push({ where: `${round}/blobs/${sha256}`, got: error.message, expected: sha256 });
      return null;
    }
  }
}

/** Tokens as they can be read; in the file they are packed. */
function askedDifferences(unit: Unit, kept: KeptUnit | undefined, place: string): Difference[] {
  if (!kept) return [{ where: place, got: 'a unit', expected: 'nothing: it was not kept' }];
  const payload = unitPayload(unit);
  if (canonicalJson(payload) === canonicalJson(kept.payload)) return [];
  const then = readUnit(kept.kind, kept.payload);
  if (then === null) return [{ where: place, got: 'a unit', expected: 'none of this version of Quasar' }];
  return differences(legible(unit), legible(then), `${place}: payload`);
}

function legible(unit: Unit): unknown {
  if (!('prompts' in unit)) return unit;
  return { ...unit, prompts: promptsOf(unit.prompts.map((prompt) => ({ prompt }))) };
}

function promptsOf(rows: readonly Pick<Trace, 'prompt'>[]): { tokens: string }[] {
  return rows.map(({ prompt }) => ({ tokens: [...prompt].join(' ') }));
}

function unreadable(place: string): QuasarError {
  return new QuasarError('evidence.damaged', `${place}: its result is none of this version of Quasar`, {
    hint: 'Replay with the version that judged, or restore the file from a copy.',
  });
}
