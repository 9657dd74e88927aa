/** @file Check: exactly the files of a submission, nothing that could be code, another format, or an archive. */
import type { Issue } from '@quasar/base';
import type { Listing } from '@quasar/hub';

const REQUIRED = ['config.json', 'model.safetensors', 'tokenizer.json'];
const ALLOWED = [...REQUIRED, 'README.md'];

const WHY: [pattern: RegExp, message: string][] = [
  [/\.(py|so|js|mjs|ts|wasm|sh|dll|pyc)$/i, 'code is never part of a submission: the architecture is ours'],
  [/\.(bin|pt|pth|ckpt|pkl|pickle|npz)$/i, 'pickled weights are refused: only model.safetensors counts'],
  [/\.(gguf|onnx|h5|msgpack)$/i, 'weights in another format are refused: only model.safetensors counts'],
  [/\.safetensors(\.index\.json)?$/i, 'one weights file is expected: model.safetensors, not sharded'],
];

export function checkListedFiles({ files, unread, isComplete }: Listing): Issue[] {
  const names = new Set(files.map(({ path }) => path));
  const issues: Issue[] = [];
  for (const path of REQUIRED)
    if (!names.has(path) && !unread.includes(path) && isComplete)
      issues.push({ code: 'precheck.missing_file', path, message: 'required file is not in the revision' });
  for (const path of names)
    if (!ALLOWED.includes(path)) {
      const why = WHY.find(([pattern]) => pattern.test(path))?.[1] ?? 'this file is not part of a submission';
      issues.push({
        code: 'precheck.file_refused',
        path,
        message: why,
        hint: `Publish only ${ALLOWED.join(', ')}.`,
      });
    }
  return issues;
}
