/**
 * @file The traces of a checkpoint's weights: digests of tensors, of secret chunks of them, and secret values.
 *
 * Positions come from a secret that only this validator knows, so that nobody can leave just those values untouched:
 * the first 8 bytes of sha256(`secret:label:counter`), modulo the size. Source: subnet.md section 5, layers 2 and 3.
 */
import { createHash } from 'node:crypto';
import type { ModelLock } from '../precheck/model-lock.ts';
import type { SamplePlan, TensorScan } from '../precheck/scan-weights.ts';
import type { Submission } from '../rules/submission.ts';
import { packBf16 } from './packed.ts';
import type { ContentRecord, WeightTraces } from './record.ts';

/** Smaller tensors (norms, gates) move so little in training that they say nothing about who trained them. */
const MIN_SAMPLED_SIZE = 1024;
/** Bytes of a chunk. */
export const CHUNK_BYTES = 4096;
/** Of a chunk's sha256, enough for evidence that comes in dozens. */
const CHUNK_DIGEST_BYTES = 8;

export interface SampleCounts {
  chunksPerTensor: number;
  samplesPerTensor: number;
}

/** Where `scanWeights` is to look. */
export function samplePlan(secret: string, { chunksPerTensor, samplesPerTensor }: SampleCounts): SamplePlan {
  return (name, elements, bytes) => ({
    values: elements < MIN_SAMPLED_SIZE ? [] : positions(secret, name, elements, samplesPerTensor),
    chunks: bytes < 2 * CHUNK_BYTES ? [] : positions(secret, `${name}/chunk`, bytes - CHUNK_BYTES + 1, chunksPerTensor),
    chunkBytes: CHUNK_BYTES,
  });
}

function positions(secret: string, label: string, size: number, count: number): number[] {
  return Array.from({ length: count }, (_, counter) => {
    const digest = createHash('sha256').update(`${secret}:${label}:${counter}`).digest();
    return Number(digest.readBigUInt64BE(0) % BigInt(size));
  });
}

/** @param scan made with `samplePlan`; `wanted`: which of its tensors to keep */
export function weightTraces(
  scan: ReadonlyMap<string, TensorScan>,
  wanted: (name: string, scan: TensorScan) => boolean = () => true,
): WeightTraces {
  const traces = { tensors: {}, chunks: {}, samples: {} } as { [K in keyof WeightTraces]: Record<string, string> };
  for (const [name, tensor] of scan) {
    if (!wanted(name, tensor)) continue;
    traces.tensors[name] = tensor.sha256;
    if (tensor.samples.length > 0) traces.samples[name] = packBf16(tensor.samples);
    const digests = tensor.chunks.map((sha256) => Buffer.from(sha256, 'hex').subarray(0, CHUNK_DIGEST_BYTES));
    if (digests.length > 0) traces.chunks[name] = Buffer.concat(digests).toString('base64');
  }
  return traces;
}

/** Tensors that equal the base model's are nobody's work and are left out. */
export function contentRecord(
  submission: Submission,
  scan: ReadonlyMap<string, TensorScan>,
  lock: ModelLock,
): ContentRecord {
  return { submission, ...weightTraces(scan, (name, { sha256 }) => lock.base.get(name)?.sha256 !== sha256) };
}

/** The digests of a tensor's chunks. */
export function unpackChunks(text: string): string[] {
  const bytes = Buffer.from(text, 'base64').toString('hex');
  return bytes.match(new RegExp(`.{${2 * CHUNK_DIGEST_BYTES}}`, 'g')) ?? [];
}
