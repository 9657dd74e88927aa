/** @file The signer process with real files and real signals: what it signs, what it hides, and how it ends. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { identify, isAlive, networkIsolation } from '@quasar/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KeyPair, verifySignature } from '../keypair.ts';
import { encodeFrame, FrameReader, MAX_FRAME_BYTES } from './frames.ts';
import { openSigner, type SignedDigest, type SignerProcess, signatureLog } from './open-signer.ts';

const root = fileURLToPath(new URL('../../../../..', import.meta.url));
const reference = join(root, 'tests/oracles/vectors/wallets');
const vectors = JSON.parse(readFileSync(join(reference, 'vectors.json'), 'utf8'));
const directory = mkdtempSync(join(tmpdir(), 'quasar-signer-'));
const keyPair = KeyPair.fromPhrase(vectors.phrase);
const path = join(directory, 'hotkey');
const message = new TextEncoder().encode('an extrinsic');
const opened: SignerProcess[] = [];

beforeAll(() => {
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', join(root, 'packages/chain')]);
  writeFileSync(path, keyPair.secretFile());
}, 120_000);
afterAll(async () => {
  await Promise.all(opened.map((signer) => signer.close()));
  rmSync(directory, { recursive: true });
});

async function open(...args: Parameters<typeof openSigner>): Promise<SignerProcess> {
  const signer = await openSigner(...args);
  opened.push(signer);
  return signer;
}

async function untilEnded(pid: number): Promise<void> {
  const identity = identify(pid);
  for (let tries = 0; tries < 500 && isAlive(identity); tries++) await sleep(10);
  expect(isAlive(identity)).toBe(false);
}

/** Killed, and known to be. */
async function kill(signer: SignerProcess): Promise<void> {
  process.kill(pidOf(signer), 'SIGKILL');
  for (let tries = 0; tries < 500 && signer.pid !== null; tries++) await sleep(10);
  expect(signer.pid).toBeNull();
}

const pidOf = (signer: SignerProcess) => signer.pid ?? expect.unreachable('no process');

describe('a signer', () => {
  it('signs with the key of the file, many at once, and tells what', async () => {
    const seen: SignedDigest[] = [];
    const signer = await open(path, { onSigned: (signed) => seen.push(signed) });
    expect([signer.address, signer.hotkey]).toEqual([keyPair.address, keyPair.address]);
    const messages = [message, new Uint8Array(0), new Uint8Array(100_000).fill(7)];
    const signatures = await Promise.all(messages.map((each) => signer.sign(each)));
    for (const [i, signature] of signatures.entries()) {
      expect(verifySignature(keyPair.address, messages[i] as Uint8Array, signature)).toBe(true);
    }
    const digest = createHash('sha256').update(message).digest('hex');
    expect(seen).toContainEqual({ address: keyPair.address, digest, sizeBytes: message.length });
    expect(seen).toHaveLength(3);
  });

  it('has no network where the system can take it away', async () => {
    const signer = await open(path);
    expect(signer.isIsolated).toBe(networkIsolation().isIsolated);
    if (!signer.isIsolated) return;
    const devices = readFileSync(`/proc/${pidOf(signer)}/net/dev`, 'utf8')
      .trim()
      .split('\n')
      .slice(2);
    expect(devices.map((line) => line.trim().split(':')[0])).toEqual(['lo']);
  });

  it('gets neither our environment nor a secret on its command line', async () => {
    process.env.QUASAR_TEST_SECRET = 'do not pass on';
    const pid = pidOf(await open(path));
    delete process.env.QUASAR_TEST_SECRET;
    if (process.platform !== 'linux') return;
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('QUASAR_TEST_SECRET');
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(path);
  });

  it('killed: what waits fails with a code, the next call finds another one', async () => {
    const signer = await open(path);
    const before = pidOf(signer);
    process.kill(before, 'SIGSTOP');
    const waiting = signer.sign(message);
    process.kill(before, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject({ code: 'chain.signer_gone', retry: 'later' });
    expect(signer.pid).toBeNull();
    expect(verifySignature(keyPair.address, message, await signer.sign(message))).toBe(true);
    expect(pidOf(signer)).not.toBe(before);
  });

  it('does not go on with another key that took the place of the file', async () => {
    const moved = join(directory, 'moved');
    writeFileSync(moved, keyPair.secretFile());
    const signer = await open(moved);
    await kill(signer);
    writeFileSync(moved, KeyPair.fromSeed(new Uint8Array(32)).secretFile());
    await expect(signer.sign(message)).rejects.toMatchObject({ code: 'chain.signer_failed' });
    writeFileSync(moved, keyPair.secretFile());
    expect(await signer.sign(message)).toHaveLength(64);
  });

  it('ends when closed, and signs no more', async () => {
    const signer = await open(path);
    const pid = pidOf(signer);
    await signer.close();
    await untilEnded(pid);
    await expect(signer.sign(message)).rejects.toMatchObject({ code: 'chain.closed' });
  });

  it('dies with its parent, even when that is killed, and does not keep it alive', async () => {
    const start = `
      const { openSigner } = await import(process.argv[3]);
      const signer = await openSigner(process.argv[1]);
      console.log(signer.pid);
      if (process.argv[2] === 'wait') setInterval(() => {}, 1000);`;
    const parent = (how: string) => {
      const args = ['--input-type=module', '-e', start, path, how, join(root, 'packages/chain/dist/index.js')];
      return spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    };
    const waiting = parent('wait');
    const pid = Number(String((await once(waiting.stdout, 'data'))[0]));
    expect(isAlive(identify(pid))).toBe(true);
    waiting.kill('SIGKILL');
    await untilEnded(pid);
    const [code] = await once(parent('end'), 'exit');
    expect(code).toBe(0);
  });
});

describe('files', () => {
  it('that cannot be opened fail as they do in this process', async () => {
    await expect(openSigner(join(directory, 'none'))).rejects.toMatchObject({ code: 'chain.wallet_missing' });
    await expect(openSigner(directory)).rejects.toMatchObject({ code: 'chain.wallet_unreadable' });
    const broken = join(directory, 'broken');
    writeFileSync(broken, '{"secretSeed": "0x1234"}');
    const error = await openSigner(broken).catch((caught) => caught);
    expect(error).toMatchObject({ code: 'chain.wallet_invalid', hint: expect.stringContaining('backup') });
    expect(inspect(error, { depth: 10 })).not.toContain('1234');
  });

  it('that are encrypted want their password, and again after a restart', async () => {
    const vault = join(reference, 'ansible', 'coldkey');
    await expect(openSigner(vault)).rejects.toMatchObject({ code: 'chain.wallet_encrypted' });
    await expect(openSigner(vault, { password: () => 'wrong' })).rejects.toMatchObject({
      code: 'chain.wallet_password',
    });
    let asked = 0;
    const password = async () => {
      asked++;
      return vectors.password;
    };
    const signer = await open(vault, { password });
    expect(signer.address).toBe(vectors.address);
    await kill(signer);
    expect(await signer.sign(message)).toHaveLength(64);
    expect(asked).toBe(2);
  });
});

it('nothing that can be printed holds a secret', async () => {
  const log = join(directory, 'signed.jsonl');
  const signer = await open(path, { onSigned: signatureLog(log) });
  await signer.sign(message);
  const shown = [
    inspect(signer, { depth: 10, showHidden: true }),
    JSON.stringify(signer),
    readFileSync(log, 'utf8'),
  ].join('\n');
  const { secretSeed, privateKey, secretPhrase } = JSON.parse(keyPair.secretFile());
  for (const secret of [secretSeed, privateKey, secretPhrase]) {
    expect(shown).not.toContain(secret.slice(2, 20));
    expect(shown).not.toContain(Buffer.from(secret.slice(2), 'hex').toString('base64').slice(0, 12) || 'none');
  }
  expect(statSync(log).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(log, 'utf8'))).toMatchObject({ address: keyPair.address, sizeBytes: message.length });
});

describe('frames', () => {
  it('come out as they went in, however they are cut', () => {
    const sent = [{ a: 1 }, { text: 'äöü'.repeat(100) }, {}];
    const bytes = Buffer.concat(sent.map(encodeFrame));
    for (const size of [1, 3, 7, bytes.length]) {
      const reader = new FrameReader();
      const got: object[] = [];
      for (let at = 0; at < bytes.length; at += size) got.push(...reader.push(bytes.subarray(at, at + size)));
      expect(got).toEqual(sent);
    }
  });

  it('are refused when too long or no object, before they are held', () => {
    const header = Buffer.alloc(4);
    header.writeUInt32LE(MAX_FRAME_BYTES + 1);
    expect(() => new FrameReader().push(header)).toThrow('bytes');
    for (const body of ['', 'null', '[]', '"x"', '{']) {
      const frame = Buffer.concat([Buffer.from([body.length, 0, 0, 0]), Buffer.from(body)]);
      expect(() => new FrameReader().push(frame), body).toThrow('a message');
    }
    expect(() => encodeFrame({ text: 'x'.repeat(MAX_FRAME_BYTES) })).toThrow('bytes');
  });

  it('a message that is too long to sign is refused and harms nobody', async () => {
    const signer = await open(path);
    await expect(signer.sign(new Uint8Array(MAX_FRAME_BYTES))).rejects.toMatchObject({ code: 'chain.invalid_call' });
    expect(await signer.sign(message)).toHaveLength(64);
  });
});
