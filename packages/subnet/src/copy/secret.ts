/**
 * @file The secret that chooses where a validator looks. Whoever knows it can change just those values, so its file is
 * for its owner alone.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { QuasarError } from '@quasar/base';

const SECRET = /^[0-9a-f]{64}$/;

/**
 * 64 hex digits from `path`, made there when there is no file yet.
 * @throws QuasarError `validator.secret_exposed` when group or others may read it; `validator.secret_damaged`
 */
export function readSecret(path: string): string {
  if (!existsSync(path)) createSecret(path);
  const { mode } = statSync(path);
  if ((mode & 0o077) !== 0)
    throw new QuasarError('validator.secret_exposed', `${path}: mode ${(mode & 0o777).toString(8)}, expected 600`, {
      hint: `Others may have read it. Delete it for a new secret, or run: chmod 600 ${path}`,
    });
  const secret = readFileSync(path, 'utf8').trim();
  if (SECRET.test(secret)) return secret;
  throw new QuasarError('validator.secret_damaged', `${path}: expected 64 hex digits`, {
    hint: 'Delete the file for a new secret. Models read before are then recognised by their whole tensors alone.',
  });
}

/** Whole or not there, and never readable by others. */
function createSecret(path: string): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(draft, randomBytes(32).toString('hex'), { flag: 'wx', mode: 0o600, flush: true });
  renameSync(draft, path);
}

/** A stream of its own for each use of the secret. */
export function derive(secret: string, label: string): string {
  return createHmac('sha256', secret).update(label).digest('hex');
}
