/**
 * @file The resume point of a run: weights, optimizer state, step and evaluations in one file, so that no crash can leave them
 * from different steps. It names its run and is refused by every other one.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, QuasarError, writeFileAtomic } from '@quasar/base';
import {
  type Checkpoint,
  decodeTensor,
  readSafetensorsHeader,
  type SafetensorsHeader,
  type TensorToWrite,
  tensorTable,
  writeSafetensors,
} from '@quasar/model';
import type { Tensor } from '@quasar/tensor';
import type { Optimizer } from './optim/optimizer.ts';
import type { Evaluation, TrainRun } from './trainer.ts';

const RESUME_FILE = 'resume.safetensors';

/** Removes the resume point of a finished run. */
export function clearResume(directory: string): void {
  rmSync(join(directory, RESUME_FILE), { force: true });
}

export async function saveResume(
  directory: string,
  run: TrainRun,
  optimizer: Optimizer,
  evaluations: readonly Evaluation[],
): Promise<void> {
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, tensor] of resumedTensors(run.checkpoint, optimizer))
    tensors.set(name, { shape: [...tensor.shape], dtype: 'F32', values: Float32Array.from(await tensor.read()) });
  const metadata = {
    run: identity(run),
    step: String(optimizer.step),
    evaluations: JSON.stringify(evaluations),
  };
  writeFileAtomic(join(directory, RESUME_FILE), writeSafetensors(tensors, metadata));
}

/**
 * Puts weights, optimizer state and step back where there is a resume point; nothing is changed when it is refused.
 * @returns the evaluations before it
 * @throws QuasarError train.resume_mismatch
 */
export function restoreResume(directory: string, run: TrainRun, optimizer: Optimizer): Evaluation[] {
  const path = join(directory, RESUME_FILE);
  if (!existsSync(path)) return [];
  const refuse = (why: string) =>
    new QuasarError('train.resume_mismatch', `resume point ${path} ${why}`, {
      hint: 'use the settings, data and model it was made with, or delete the file to start again',
    });
  const bytes = readFileSync(path);
  const header = readSafetensorsHeader(bytes, bytes.length);
  if (!header.ok) throw refuse('is damaged');
  const { metadata } = header.value;
  if (metadata.run !== identity(run)) throw refuse('belongs to another run');
  const step = Number(metadata.step);
  const targets = resumedTensors(run.checkpoint, optimizer);
  if (!Number.isInteger(step) || step < 0 || step > run.settings.steps || !fits(header.value, targets))
    throw refuse('is damaged');
  const evaluations = parsedList(metadata.evaluations);
  if (!evaluations) throw refuse('is damaged');
  for (const [name, target] of targets) {
    const { start, end, dtype } = header.value.tensors.get(name) as { start: number; end: number; dtype: string };
    target.write(decodeTensor(bytes.subarray(start, end), dtype));
  }
  optimizer.step = step;
  return evaluations;
}

/** What must be equal for a run to go on as if it had never stopped. */
function identity({ checkpoint, settings, source, objective }: TrainRun): string {
  return canonicalJson({
    config: checkpoint.config,
    settings,
    source: source.name,
    data: source.fingerprint,
    objective: objective.name,
  });
}

/** Parameters and router buffers as `p.<name>`, and the state of the optimizer. Buffers of integers never change. */
function resumedTensors({ config, parameters }: Checkpoint, optimizer: Optimizer): Map<string, Tensor> {
  const names = [...tensorTable(config)].flatMap(([name, { dtype }]) => (dtype === 'int' ? [] : [name]));
  return new Map([
    ...names.map((name) => [`p.${name}`, parameters.get(name) as Tensor] as const),
    ...optimizer.state(),
  ]);
}

function fits({ tensors }: SafetensorsHeader, targets: ReadonlyMap<string, Tensor>): boolean {
  if (tensors.size !== targets.size) return false;
  return [...targets].every(([name, target]) => {
    const found = tensors.get(name);
    return found?.dtype === 'F32' && found.shape.join() === target.shape.join();
  });
}

function parsedList(json: string | undefined): Evaluation[] | null {
  try {
    const value: unknown = JSON.parse(json ?? '');
    return Array.isArray(value) ? (value as Evaluation[]) : null;
  } catch {
    return null;
  }
}
