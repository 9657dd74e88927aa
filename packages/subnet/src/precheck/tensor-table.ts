/**
 * @file Check: the header of model.safetensors lists exactly the tensors of the family: names, shapes and dtypes.
 *
 * Read by ranges before the download: the declared length first, bounded before anything is allocated. The number of
 * parameters is counted from the tensors themselves, not from what a config claims.
 */
import type { Issue } from '@quasar/base';
import { headerLength, readSafetensorsHeader, type SafetensorsHeader } from '@quasar/model';
import { maxHeaderBytes } from './declared-sizes.ts';
import type { ModelLock } from './model-lock.ts';
import type { SubmissionSource } from './source.ts';

const FILE = 'model.safetensors';

export async function checkTensorTable(source: SubmissionSource, sizeBytes: number, lock: ModelLock): Promise<Issue[]> {
  const length = headerLength(await source.readRange(FILE, 0, Math.min(8, sizeBytes)), sizeBytes);
  if (!length.ok) return inFile(length.issues);
  const mostBytes = maxHeaderBytes(lock);
  if (length.value > mostBytes)
    return [
      {
        code: 'precheck.header_too_large',
        path: FILE,
        message: `header of ${length.value} bytes, expected at most ${mostBytes}`,
      },
    ];
  const header = readSafetensorsHeader(await source.readRange(FILE, 0, 8 + length.value), sizeBytes);
  return header.ok ? compareTensors(header.value, lock) : inFile(header.issues);
}

export function compareTensors(header: SafetensorsHeader, lock: ModelLock): Issue[] {
  const issues: Issue[] = [];
  let parameters = 0;
  for (const [name, { shape, dtype }] of header.tensors) {
    parameters += shape.reduce((p, n) => p * n, 1);
    const expected = lock.tensors.get(name);
    const path = `${FILE}#${name.slice(0, 120)}`;
    if (!expected) issues.push({ code: 'precheck.unknown_tensor', path, message: 'not a tensor of this family' });
    else if (expected.shape.join() !== shape.join())
      issues.push({
        code: 'precheck.tensor_shape',
        path,
        message: `got shape [${shape}], expected [${expected.shape}]`,
      });
    else if (expected.dtype !== dtype)
      issues.push({
        code: 'precheck.tensor_dtype',
        path,
        message: `got ${dtype}, expected ${expected.dtype}`,
        hint: 'Export the checkpoint in its published form: weights in BF16, router buffers in F32.',
      });
  }
  for (const name of lock.tensors.keys())
    if (!header.tensors.has(name))
      issues.push({ code: 'precheck.missing_tensor', path: `${FILE}#${name}`, message: 'not in the file' });
  if (parameters > lock.limits.maxParameters * 1.01)
    issues.push({
      code: 'precheck.too_many_parameters',
      path: FILE,
      message: `${parameters} values, the cap is ${lock.limits.maxParameters}`,
    });
  return issues;
}

function inFile(issues: Issue[]): Issue[] {
  return issues.map((one) => ({ ...one, path: one.path === undefined ? FILE : `${FILE}#${one.path}` }));
}
