/**
 * @file What is remembered of a checkpoint to recognise copies of it: digests of its own tensors and sampled values.
 *
 * Positions come from a secret that only this validator knows, so that nobody can leave just those values untouched:
 * the first 8 bytes of sha256(`secret:name:counter`), modulo the size. Source: subnet.md section 5, layers 2 and 3.
 */
import { createHash } from 'node:crypto';
import type { ContentRecord } from '../rules/copy.ts';
import type { Submission } from '../rules/submission.ts';
import type { ModelLock } from './model-lock.ts';
import type { TensorScan } from './scan-weights.ts';

/** Smaller tensors (norms, gates) move so little in training that they say nothing about who trained them. */
const MIN_SAMPLED_SIZE = 1024;

export function samplePositions(secret: string, name: string, size: number, count: number): number[] {
  if (size < MIN_SAMPLED_SIZE) return [];
  return Array.from({ length: count }, (_, counter) => {
    const digest = createHash('sha256').update(`${secret}:${name}:${counter}`).digest();
    return Number(digest.readBigUInt64BE(0) % BigInt(size));
  });
}

/** @param scan with samples at `samplePositions`, or without any */
export function contentRecord(
  submission: Submission,
  scan: ReadonlyMap<string, TensorScan>,
  lock: ModelLock,
): ContentRecord {
  const tensors: Record<string, string> = {};
  const samples: Record<string, number[]> = {};
  for (const [name, { sha256, samples: values }] of scan) {
    const base = lock.base.get(name);
    if (base?.sha256 === sha256) continue;
    tensors[name] = sha256;
    // A fresh base may hold a matrix of zeros; its copies are then compared in plain units.
    if (values.length > 0) samples[name] = values.map((value) => Number((value / (base?.rms || 1)).toPrecision(6)));
  }
  return { submission, tensors, samples };
}
