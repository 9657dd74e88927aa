/**
 * @file What every submission must equal: config, tokenizer and tensor table of the base student, read once.
 *
 * The lock also remembers the base model's own tensors: a tensor that equals the base's is nobody's work (copy.ts).
 */
import { existsSync, readFileSync } from 'node:fs';
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
import { weightPaths } from './weight-layout.ts';

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
  /** The `auto_map` that a config may have; null: none. */
  autoMap: Readonly<Record<string, string>> | null;
  /** Code that a listing may hold, by its sha256 in the base checkpoint. Never downloaded, never run. */
  codeSha256: ReadonlyMap<string, string>;
  /** The base student as an entrant: the first incumbent, and the original of every untrained checkpoint. */
  baseSubmission: Submission;
  /** The base model's tensors: digest, and root mean square for the scale of samples. */
  base: Map<string, { sha256: string; rms: number }>;
}

/**
 * @param baseDirectory checkpoint of the base student, in its published form (BF16)
 * @param tolerated code that published checkpoints carry along; by default none
 * @throws QuasarError `subnet.bad_base` when it is no checkpoint that could itself be submitted
 */
export async function createModelLock(
  baseDirectory: string,
  limits: SubnetConfig['limits'],
  tolerated: SubnetConfig['tolerated'] = NOTHING,
): Promise<ModelLock> {
  const refuse = (why: string) =>
    new QuasarError('subnet.bad_base', `base model ${baseDirectory}: ${why}`, {
      hint: 'Point the validator at the published base checkpoint: config.json, safetensors in BF16, tokenizer.json.',
    });
  const config = readConfig(baseDirectory);
  if (!config.ok) throw refuse(formatIssues(config.issues));
  const { total } = countParameters(config.value);
  if (total > limits.maxParameters) throw refuse(`${total} parameters, the cap is ${limits.maxParameters}`);
  const tensors = expectedTensors(config.value);
  let dataBytes = 0;
  for (const { shape, dtype } of tensors.values()) dataBytes += shape.reduce((p, n) => p * n, ALL_DTYPE_BYTES[dtype]!);

  const scan = await scanWeights(baseDirectory);
  for (const [name, { dtype }] of tensors)
    if (scan.get(name)?.dtype !== dtype)
      throw refuse(`tensor ${name} is ${scan.get(name)?.dtype ?? 'missing'}, expected ${dtype}`);
  const base = new Map([...scan].map(([name, { sha256, rms }]) => [name, { sha256, rms }]));
  const tokenizerSha256 = sha256Hex(readFileSync(join(baseDirectory, CHECKPOINT_FILES.tokenizer)));
  const digests: string[] = [];
  for (const path of await weightPaths(baseDirectory)) digests.push((await fileDigest(path)).sha256);
  const revision = (digests.length === 1 ? digests[0]! : sha256Hex(digests.join())).slice(0, 40);
  const roles = new Map([...tensorTable(config.value)].map(([name, { role }]) => [name, role]));
  const baseSubmission = { id: BASE_ID, uid: BASE_UID, hotkey: '', repo: BASE_ID, revision, revealedAtBlock: 0 };
  const { autoMap, codeFiles } = tolerated;
  const codeSha256 = new Map<string, string>();
  for (const name of codeFiles.filter((one) => existsSync(join(baseDirectory, one))))
    codeSha256.set(name, (await fileDigest(join(baseDirectory, name))).sha256);
  return {
    ...{ directory: baseDirectory, config: config.value, tokenizerSha256, tensors, roles, dataBytes, limits },
    ...{ autoMap, codeSha256, baseSubmission, base },
  };
}

const NOTHING: SubnetConfig['tolerated'] = { autoMap: null, codeFiles: [] };
