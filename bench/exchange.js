/** @file Numbers to and from peers, as raw files in a temporary folder, and how far two results are apart. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Exchange {
  #folder = mkdtempSync(join(tmpdir(), 'quasar-bench-'));

  /** @param {Float32Array | Int32Array} values @returns {string} path */
  share(name, values) {
    const path = join(this.#folder, name);
    writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return path;
  }

  close() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** @throws Error when the float32 file at `path` differs from `ours` by more than `limit`, as RMS relative to ours */
export function requireEqual(what, ours, path, limit) {
  const bytes = readFileSync(path);
  const theirs = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  if (theirs.length !== ours.length) throw new Error(`${what}: ${theirs.length} numbers, ours are ${ours.length}`);
  let difference = 0;
  let size = 0;
  for (let i = 0; i < ours.length; i++) {
    difference += (theirs[i] - ours[i]) ** 2;
    size += ours[i] ** 2;
  }
  const apart = Math.sqrt(difference / size);
  if (!(apart <= limit)) throw new Error(`${what} is ${apart.toExponential(1)} away from ours, ${limit} allowed`);
}
