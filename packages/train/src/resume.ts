/**
 * @file The resume point of a run: weights, optimizer state, averages, step, data positions, guard and evaluations in one file,
 * so that no crash can leave them from different steps. It names its run and is refused by every other one. Written and read
 * piece by piece.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, QuasarError } from '@quasar/base';
import {
  type Checkpoint,
  DTYPE_BYTES,
  decodeTensor,
  headerLength,
  MAX_HEADER_BYTES,
  piecesOf,
  readSafetensorsHeader,
  type SafetensorsHeader,
  tensorTable,
  writeTensorFile,
} from '@quasar/model';
import type { Tensor } from '@quasar/tensor';
import type { Position } from './data/source.ts';
import type { GuardState } from './guard.ts';
import type { Evaluation, TrainRun } from './trainer.ts';

const RESUME_FILE = 'resume.safetensors';
/** Of these the newest are kept. */
const MAX_EVALUATIONS = 2000;

/** What a resume point holds beside tensors. */
export interface Progress {
  step: number;
  /** Of the readers, lane by lane. */
  positions: Position[];
  guard: GuardState;
  evaluations: Evaluation[];
}

/** Whether a run in this folder can go on. */
export function hasResume(directory: string): boolean {
  return existsSync(join(directory, RESUME_FILE));
}

/** Removes the resume point of a finished run. */
export function clearResume(directory: string): void {
  rmSync(join(directory, RESUME_FILE), { force: true });
}

/**
 * @param state of the optimizer and averages, by name
 * @returns bytes written. @throws on a full disk; the point before stays
 */
export function saveResume(
  directory: string,
  run: TrainRun,
  state: ReadonlyMap<string, Tensor>,
  progress: Progress,
): Promise<number> {
  const tensors = [...resumedTensors(run.checkpoint, state)].map(([name, tensor]) => ({
    name,
    shape: [...tensor.shape],
    dtype: 'F32' as const,
    pieces: () => piecesOf(tensor, 'F32'),
  }));
  const evaluations = progress.evaluations.slice(-MAX_EVALUATIONS);
  const metadata = { run: identity(run), progress: JSON.stringify({ ...progress, evaluations }) };
  return writeTensorFile(join(directory, RESUME_FILE), tensors, metadata);
}

/**
 * Puts weights and state back where there is a resume point; nothing is changed when it is refused.
 * @returns null: there is none
 * @throws QuasarError train.resume_mismatch
 */
export function restoreResume(directory: string, run: TrainRun, state: ReadonlyMap<string, Tensor>): Progress | null {
  const path = join(directory, RESUME_FILE);
  if (!existsSync(path)) return null;
  const refuse = (why: string) =>
    new QuasarError('train.resume_mismatch', `resume point ${path} ${why}`, {
      hint: 'use the settings, data and model it was made with, or delete the file to start again',
    });
  const fd = openSync(path, 'r');
  try {
    const header = readHeader(fd);
    if (!header) throw refuse('is damaged');
    const { metadata } = header;
    if (metadata.run !== identity(run)) throw refuse('belongs to another run');
    const progress = parsedProgress(metadata.progress, run);
    const targets = resumedTensors(run.checkpoint, state);
    if (!progress || !fits(header, targets)) throw refuse('is damaged');
    for (const [name, target] of targets) readTensor(fd, (header.tensors.get(name) as { start: number }).start, target);
    return progress;
  } finally {
    closeSync(fd);
  }
}

/** What must be equal for a run to go on as if it had never stopped. How often it saves and measures may change. */
function identity({ checkpoint, settings, source, beside = [], objective, positional, from }: TrainRun): string {
  const { saveEvery: _, evaluateEvery: __, evaluateBatches: ___, ...own } = settings;
  return canonicalJson({
    config: checkpoint.config,
    settings: own,
    lanes: [{ source }, ...beside].map(({ source: { name, fingerprint }, ...lane }) => ({
      name,
      fingerprint,
      ...lane,
    })),
    objective: { name: objective.name, fingerprint: objective.fingerprint },
    positional,
    from,
  });
}

/**
 * Parameters and router buffers as `p.<name>`, and the state. What never changes stays out: buffers of integers, frozen
 * parameters.
 */
function resumedTensors({ config, parameters }: Checkpoint, state: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const names = [...tensorTable(config)].flatMap(([name, { dtype, isFrozen = false }]) =>
    dtype === 'int' || isFrozen ? [] : [name],
  );
  return new Map([...names.map((name) => [`p.${name}`, parameters.get(name) as Tensor] as const), ...state]);
}

function readHeader(fd: number): SafetensorsHeader | null {
  const { size } = fstatSync(fd);
  const first = new Uint8Array(8);
  if (readSync(fd, first, 0, 8, 0) < 8) return null;
  const length = headerLength(first, size);
  if (!length.ok || length.value > MAX_HEADER_BYTES) return null;
  const bytes = new Uint8Array(8 + length.value);
  if (readSync(fd, bytes, 0, bytes.length, 0) < bytes.length) return null;
  const header = readSafetensorsHeader(bytes, size);
  return header.ok ? header.value : null;
}

const PIECE_NUMBERS = 2 ** 20;

function readTensor(fd: number, start: number, target: Tensor): void {
  const width = DTYPE_BYTES.F32 as number;
  for (let at = 0; at < target.size; at += PIECE_NUMBERS) {
    const bytes = new Uint8Array(Math.min(PIECE_NUMBERS, target.size - at) * width);
    for (let done = 0; done < bytes.length; ) {
      const count = readSync(fd, bytes, done, bytes.length - done, start + at * width + done);
      if (count === 0) throw new Error('a resume point became shorter while it was read');
      done += count;
    }
    target.device.write(target.buffer, decodeTensor(bytes, 'F32'), at);
  }
}

function fits({ tensors }: SafetensorsHeader, targets: ReadonlyMap<string, Tensor>): boolean {
  if (tensors.size !== targets.size) return false;
  return [...targets].every(([name, target]) => {
    const found = tensors.get(name);
    return found?.dtype === 'F32' && found.shape.join() === target.shape.join();
  });
}

function parsedProgress(json: string | undefined, { settings, beside = [] }: TrainRun): Progress | null {
  try {
    const { step, positions, guard, evaluations } = JSON.parse(json ?? '') as Progress;
    const isWhole =
      Number.isInteger(step) &&
      step >= 0 &&
      step <= settings.steps &&
      Array.isArray(evaluations) &&
      Array.isArray(positions) &&
      positions.length === 1 + beside.length &&
      typeof guard.rollbacks === 'number';
    return isWhole ? { step, positions, guard, evaluations } : null;
  } catch {
    return null;
  }
}
