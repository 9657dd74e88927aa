/**
 * @file The evidence of one duel as files that any tool for data reads.
 *
 *     duel.json          the verdict as the log holds it, the round, the rules
 *     prompts.parquet    a row per prompt: prompt, continuation, seed, KL of king and challenger, their difference
 *     tokens.parquet     a row per continuation token: its KL of king and challenger, the teacher's mass outside of its top k
 *
 * Columns and units: docs/evidence.md. Both tables carry round, seed, rules and models in the metadata of the file.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, QuasarError, writeFileAtomic } from '@quasar/base';
import { SCORE_BATCH } from '@quasar/evals';
import type { Trace } from '@quasar/infer';
import type { Tokenizer } from '@quasar/model';
import type { StoredEvent } from '@quasar/store';
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer';
import { decodeTraces } from '../evaluation/trace-blob.ts';
import { batchSeed, readResult, readUnit } from '../evaluation/units.ts';
import type { DuelJudged } from '../events.ts';
import { TEACHER_ID } from '../rules/submission.ts';
import type { EvidenceFolder } from './evidence-folder.ts';
import { judgedRound } from './judged-round.ts';
import { splitTokens } from './per-token.ts';

export interface ExportOptions {
  log: readonly StoredEvent[];
  evidence: EvidenceFolder;
  /** Of teacher and students, which share one. */
  tokenizer: Tokenizer;
  round: number;
  id: string;
  /** Made when absent. */
  folder: string;
}

export interface DuelExport {
  folder: string;
  files: string[];
  prompts: number;
  tokens: number;
}

/** One prompt with what two models made of it. */
interface Row {
  trace: Trace;
  samplingSeed: string;
  kingKl: number;
  challengerKl: number;
  kingPerToken: Float32Array;
  challengerPerToken: Float32Array;
}

/** @throws QuasarError `duel.unknown`, `evidence.*` */
export async function exportDuel(options: ExportOptions): Promise<DuelExport> {
  const { log, evidence, tokenizer, round, id, folder } = options;
  const judged = judgedRound(log, round);
  const duel = judged.events.find(({ type, key }) => type === 'duel.judged' && key === `${round}:${id}`);
  if (!duel)
    throw new QuasarError('duel.unknown', `round ${round} has no duel of ${id}`, {
      hint: '`quasar duel list` shows the duels of this log.',
    });
  const rules = evidence.keptRules(judged.verdict.configHash);
  const rows = rowsOf(options, judged.incumbent.id);
  const { seedHash, seedBlock, configHash } = judged.round;
  const about = { round, seedBlock, seedHash, configHash, challenger: id, king: judged.incumbent.id };
  const kvMetadata = [{ key: 'quasar.duel', value: canonicalJson(about) }];
  const text = (tokens: Int32Array) => tokenizer.decode(tokens, { specials: true });
  const { n } = duel.data as DuelJudged;
  mkdirSync(folder, { recursive: true });
  const write = (name: string, columnData: ColumnSource[]) =>
    writeFileAtomic(join(folder, name), new Uint8Array(parquetWriteBuffer({ columnData, kvMetadata })));

  write('prompts.parquet', [
    { name: 'prompt', type: 'INT32', data: rows.map((_, i) => i) },
    { name: 'counted', type: 'BOOLEAN', data: rows.map((_, i) => i < n) },
    { name: 'sampling_seed', type: 'STRING', data: rows.map(({ samplingSeed }) => samplingSeed) },
    { name: 'prompt_text', type: 'STRING', data: rows.map(({ trace }) => text(trace.prompt)) },
    { name: 'continuation_text', type: 'STRING', data: rows.map(({ trace }) => text(trace.continuation)) },
    { name: 'prompt_tokens', type: 'JSON', data: rows.map(({ trace }) => [...trace.prompt]) },
    { name: 'continuation_tokens', type: 'JSON', data: rows.map(({ trace }) => [...trace.continuation]) },
    { name: 'king_kl', type: 'DOUBLE', data: rows.map(({ kingKl }) => kingKl) },
    { name: 'challenger_kl', type: 'DOUBLE', data: rows.map(({ challengerKl }) => challengerKl) },
    { name: 'delta', type: 'DOUBLE', data: rows.map(({ kingKl, challengerKl }) => kingKl - challengerKl) },
  ]);
  const each = <T>(value: (row: Row, at: number, prompt: number) => T): T[] =>
    rows.flatMap((row, prompt) => Array.from(row.trace.continuation, (_, at) => value(row, at, prompt)));
  write('tokens.parquet', [
    { name: 'prompt', type: 'INT32', data: each((_row, _at, prompt) => prompt) },
    { name: 'position', type: 'INT32', data: each((_row, at) => at) },
    { name: 'token', type: 'INT32', data: each(({ trace }, at) => trace.continuation[at]!) },
    { name: 'text', type: 'STRING', data: each(({ trace }, at) => text(trace.continuation.subarray(at, at + 1))) },
    { name: 'teacher_tail_mass', type: 'FLOAT', data: each(({ trace }, at) => trace.top.tail[at]!) },
    { name: 'king_kl', type: 'FLOAT', data: each(({ kingPerToken }, at) => kingPerToken[at]!) },
    { name: 'challenger_kl', type: 'FLOAT', data: each(({ challengerPerToken }, at) => challengerPerToken[at]!) },
  ]);
  writeFileAtomic(join(folder, 'duel.json'), `${JSON.stringify({ ...about, duel: duel.data, rules }, null, 2)}\n`);
  const tokens = rows.reduce((sum, { trace }) => sum + trace.continuation.length, 0);
  return { folder, files: ['duel.json', 'prompts.parquet', 'tokens.parquet'], prompts: rows.length, tokens };
}

/** The prompts on which both were measured, in their order. */
function rowsOf({ evidence, round, id }: ExportOptions, kingId: string): Row[] {
  const seeds = new Map(
    evidence.units(round, 'traces', TEACHER_ID).map(({ from, payload }) => [from, seedOf(payload)]),
  );
  const king = new Map(measured(evidence, round, kingId).map((unit) => [unit.from, unit]));
  return measured(evidence, round, id).flatMap((challenger) => {
    const other = king.get(challenger.from);
    if (!other || other.traces !== challenger.traces)
      throw new QuasarError(
        'evidence.damaged',
        `round ${round}: king and challenger were not measured on the same traces`,
        {
          hint: 'Restore the evidence from a copy.',
        },
      );
    const traces = decodeTraces(needed(evidence, round, challenger.traces));
    const [kingTokens, challengerTokens] = [other, challenger].map(({ perToken, tokens }) =>
      splitTokens(needed(evidence, round, perToken), tokens),
    ) as [Float32Array[], Float32Array[]];
    const seed = seeds.get(challenger.from) ?? '';
    return traces.map((trace, i) => ({
      trace,
      samplingSeed: batchSeed(seed, challenger.from + i - (i % SCORE_BATCH)),
      kingKl: other.perPrompt[i]!,
      challengerKl: challenger.perPrompt[i]!,
      kingPerToken: kingTokens[i]!,
      challengerPerToken: challengerTokens[i]!,
    }));
  });
}

function seedOf(payload: unknown): string {
  const unit = readUnit('traces', payload);
  return unit?.kind === 'traces' ? unit.seed : '';
}

function measured(evidence: EvidenceFolder, round: number, name: string) {
  return evidence.units(round, 'kl', name).map(({ from, payload, result }) => {
    const unit = readUnit('kl', payload);
    const read = readResult('kl', result);
    if (unit?.kind !== 'kl' || read === null)
      throw new QuasarError('evidence.damaged', `round ${round}: a unit of ${name} is none of this version of Quasar`, {
        hint: 'Export it with the version that judged.',
      });
    return { from, traces: unit.traces, ...read };
  });
}

function needed(evidence: EvidenceFolder, round: number, sha256: string): Uint8Array {
  const bytes = evidence.blob(round, sha256);
  if (bytes !== null) return bytes;
  throw new QuasarError('evidence.missing', `round ${round}: the traces and values per token were thrown away`, {
    hint: 'They are kept for the newest rounds only. `quasar duel replay` still computes them again.',
  });
}
