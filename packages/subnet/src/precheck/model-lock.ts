/**
 * @file What every submission must equal: config, tokenizer and tensor table of the base student, read once.
 *
 * The lock also remembers the base model's own tensors: a tensor that equals the base's is nobody's work (copy.ts).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatIssues, QuasarError, sha256Hex } from '@quasar/base';
import {
  ALL_DTYPE_BYTES,
  CHECKPOINT_FILES,
  countParameters,
  type ExpectedTensor,
  expectedTensors,
  type ModelConfig,
  type Role,
  readConfig,
  tensorTable,
} from '@quasar/model';
import type { SubnetConfig } from '../rules/config.ts';
import { BASE_ID, BASE_UID, type Submission } from '../rules/submission.ts';
import { scanWeights } from './scan-weights.ts';
import { fileDigest } from './source.ts';

export interface ModelLock {
  /** Of the base checkpoint. */
  directory: string;
  config: ModelConfig;
  tokenizerSha256: string;
  tensors: Map<string, ExpectedTensor>;
  /** What each tensor is for. */
  roles: Map<string, Role>;
  /** Bytes of the data block of model.safetensors, exact. */
  dataBytes: number;
  limits: SubnetConfig['limits'];
  /** The base student as an entrant: the first incumbent, and the original of every untrained checkpoint. */
  baseSubmission: Submission;
  /** The base model's tensors: digest, and root mean square for the scale of samples. */
  base: Map<string, { sha256: string; rms: number }>;
}

/**
 * @param baseDirectory checkpoint of the base student, in its published form (BF16)
 * @throws QuasarError `subnet.bad_base` when it is no checkpoint that could itself be submitted
 */
export async function createModelLock(baseDirectory: string, limits: SubnetConfig['limits']): Promise<ModelLock> {
  const refuse = (why: string) =>
    new QuasarError('subnet.bad_base', `base model ${baseDirectory}: ${why}`, {
      hint: 'Point the validator at the published base checkpoint: config.json, model.safetensors in BF16, tokenizer.json.',
    });
  const config = readConfig(baseDirectory);
  if (!config.ok) throw refuse(formatIssues(config.issues));
  const { total } = countParameters(config.value);
  if (total > limits.maxParameters) throw refuse(`${total} parameters, the cap is ${limits.maxParameters}`);
  const tensors = expectedTensors(config.value);
  let dataBytes = 0;
  for (const { shape, dtype } of tensors.values()) dataBytes += shape.reduce((p, n) => p * n, ALL_DTYPE_BYTES[dtype]!);

  const weights = join(baseDirectory, CHECKPOINT_FILES.weights);
  const scan = await scanWeights(weights);
  for (const [name, { dtype }] of tensors)
    if (scan.get(name)?.dtype !== dtype)
      throw refuse(`tensor ${name} is ${scan.get(name)?.dtype ?? 'missing'}, expected ${dtype}`);
  const base = new Map([...scan].map(([name, { sha256, rms }]) => [name, { sha256, rms }]));
  const tokenizerSha256 = sha256Hex(readFileSync(join(baseDirectory, CHECKPOINT_FILES.tokenizer)));
  const revision = (await fileDigest(weights)).sha256.slice(0, 40);
  const roles = new Map([...tensorTable(config.value)].map(([name, { role }]) => [name, role]));
  const baseSubmission = { id: BASE_ID, uid: BASE_UID, hotkey: '', repo: BASE_ID, revision, revealedAtBlock: 0 };
  const directory = baseDirectory;
  return { directory, config: config.value, tokenizerSha256, tensors, roles, dataBytes, limits, baseSubmission, base };
}
