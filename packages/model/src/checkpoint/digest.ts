/** @file The digest of a checkpoint folder: which model it is, for runs and traces that must not mix two. */
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, sha256Hex } from '@quasar/base';
import { readRecordedBase } from './graft-base.ts';
import { CHECKPOINT_FILES } from './weight-files.ts';

/** SHA-256 over config and weights, whatever their order in the folder, of branches that of their base too; files are streamed. */
export async function checkpointDigest(directory: string): Promise<string> {
  const names = readdirSync(directory).filter(
    (name) => name === CHECKPOINT_FILES.config || /^model.*\.safetensors$/.test(name),
  );
  const digests: Record<string, string> = {};
  for (const name of names) {
    const hash = createHash('sha256');
    for await (const bytes of createReadStream(join(directory, name))) hash.update(bytes as Buffer);
    digests[name] = hash.digest('hex');
  }
  const base = readRecordedBase(directory);
  if (base) digests.base = base.sha256;
  return sha256Hex(canonicalJson(digests));
}
