import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { derive, readSecret } from './secret.ts';

const root = mkdtempSync(join(tmpdir(), 'secret-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('readSecret', () => {
  it('draws a secret that only its owner may read, once', () => {
    const path = join(root, 'new', 'secret');
    const secret = readSecret(path);
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readSecret(path)).toBe(secret);
    expect(readSecret(join(root, 'another'))).not.toBe(secret);
  });

  it.each([0o640, 0o604, 0o660, 0o644])('refuses a file that others may read: mode %o', (mode) => {
    const path = join(root, `mode-${mode}`);
    readSecret(path);
    chmodSync(path, mode);
    expect(() => readSecret(path)).toThrow(
      expect.objectContaining({ code: 'validator.secret_exposed', hint: expect.stringContaining('chmod 600') }),
    );
  });

  it('refuses what is no secret: an empty file would make everything predictable', () => {
    const path = join(root, 'empty');
    writeFileSync(path, '', { mode: 0o600 });
    expect(() => readSecret(path)).toThrow(expect.objectContaining({ code: 'validator.secret_damaged' }));
  });

  it('gives every use a stream of its own', () => {
    expect(derive('a', 'x')).not.toBe(derive('a', 'y'));
    expect(derive('a', 'x')).not.toBe(derive('b', 'x'));
    expect(derive('a', 'x')).toBe(derive('a', 'x'));
  });
});
