/** @file Check: exactly the files of a submission, nothing that could be code, another format, or an archive. */
import type { Issue } from '@quasar/base';
import type { HubFile, Listing } from '@quasar/hub';
import type { ModelLock } from './model-lock.ts';
import {
  CONFIG_FILE,
  INDEX_FILE,
  isModelFile,
  README_FILE,
  SINGLE_FILE,
  shardNumber,
  TOKENIZER_FILE,
} from './weight-layout.ts';

const WHY: [pattern: RegExp, message: string][] = [
  [/\.(py|so|js|mjs|ts|wasm|sh|dll|pyc)$/i, 'code is never part of a submission: the architecture is ours'],
  [/\.(bin|pt|pth|ckpt|pkl|pickle|npz)$/i, 'pickled weights are refused: only safetensors count'],
  [/\.(gguf|onnx|h5|msgpack)$/i, 'weights in another format are refused: only safetensors count'],
  [/\.safetensors(\.index\.json)?$/i, 'no name of weights: model.safetensors, or model-00001-of-0000N.safetensors'],
];

export function checkListedFiles(listing: Listing, lock: ModelLock): Issue[] {
  const { files, unread, isComplete } = listing;
  const names = new Set(files.map(({ path }) => path));
  const isThere = (path: string) => names.has(path) || unread.includes(path);
  const isSharded =
    !isThere(SINGLE_FILE) && [...names].some((path) => path === INDEX_FILE || shardNumber(path) !== null);
  const { missing, tooMany } = isSharded ? seriesOf([...names], lock) : { missing: [SINGLE_FILE], tooMany: null };
  const issues: Issue[] = [];
  if (isComplete)
    for (const path of [CONFIG_FILE, ...missing, TOKENIZER_FILE])
      if (!isThere(path))
        issues.push({ code: 'precheck.missing_file', path, message: 'required file is not in the revision' });
  for (const file of files) {
    const message = refusal(file, names.has(SINGLE_FILE), lock);
    const allowed = `${CONFIG_FILE}, ${SINGLE_FILE}, ${TOKENIZER_FILE}, ${README_FILE}`;
    if (message !== null)
      issues.push({ code: 'precheck.file_refused', path: file.path, message, hint: `Publish only ${allowed}.` });
  }
  return tooMany === null ? issues : [...issues, tooMany];
}

function refusal({ path, sha256 }: HubFile, hasSingle: boolean, { limits, codeSha256 }: ModelLock): string | null {
  const isOfShards = path === INDEX_FILE || shardNumber(path) !== null;
  if (isOfShards && limits.maxShards < 2) return 'one weights file is expected: model.safetensors, not sharded';
  if (isOfShards && hasSingle) return 'weights beside model.safetensors: which of them would be measured?';
  if (isModelFile(path) || path === README_FILE) return null;
  const code = codeSha256.get(path);
  if (code !== undefined) return code === sha256 ? null : "differs from the base model's file of this name";
  return WHY.find(([pattern]) => pattern.test(path))?.[1] ?? 'this file is not part of a submission';
}

/** The files that one whole series of shards has; which series: that of the first shard. */
function seriesOf(names: readonly string[], { limits }: ModelLock): { missing: string[]; tooMany: Issue | null } {
  const counts = new Set(names.flatMap((path) => shardNumber(path)?.count ?? []));
  const [count = 1] = counts;
  if (counts.size > 1 || count > limits.maxShards || count < 1) {
    const got = counts.size > 1 ? `shards of ${counts.size} series` : `${count} shards`;
    const message = `got ${got}, expected one series of at most ${limits.maxShards}`;
    return { missing: [INDEX_FILE], tooMany: { code: 'precheck.shards', path: INDEX_FILE, message } };
  }
  const digits = (n: number) => String(n).padStart(5, '0');
  const shards = Array.from({ length: count }, (_, i) => `model-${digits(i + 1)}-of-${digits(count)}.safetensors`);
  return { missing: [INDEX_FILE, ...shards], tooMany: null };
}
