/** @file A digest of the tensors that a checkpoint stores. */
import { createHash } from 'node:crypto';
import { WeightFiles } from './weight-files.ts';

const PIECE_BYTES = 4 * 2 ** 20;

/**
 * SHA-256 of every stored tensor: name, type, shape and bytes, by name. However the tensors are laid out in files and whatever
 * metadata these have, it is the same.
 * @throws QuasarError as `WeightFiles.open`; checkpoint.truncated
 */
export function weightsDigest(folder: string): string {
  const files = WeightFiles.open(folder);
  try {
    const hash = createHash('sha256');
    const piece = new Uint8Array(PIECE_BYTES);
    for (const [name, tensor] of [...files.tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(JSON.stringify([name, tensor.dtype, tensor.shape]));
      const size = tensor.end - tensor.start;
      for (let at = 0; at < size; at += PIECE_BYTES) {
        const bytes = piece.subarray(0, Math.min(PIECE_BYTES, size - at));
        files.read(tensor, at, bytes);
        hash.update(bytes);
      }
    }
    return hash.digest('hex');
  } finally {
    files.close();
  }
}
