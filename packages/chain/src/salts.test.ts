import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type SaltRecord, Salts } from './salts.ts';

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-salts-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const record = (hash: string, netuid = 1): SaltRecord => ({
  genesis: '0x00',
  hotkey: '5F',
  netuid,
  hash,
  uids: [1],
  values: [65535],
  salt: [1, 2, 3],
  versionKey: 0,
});

it('keeps salts over a restart in a file that only its owner reads', () => {
  const directory = join(temporary(), 'new');
  new Salts(directory).add(record('0xaa'));
  new Salts(directory).add(record('0xbb', 2));
  const again = new Salts(directory);
  expect(again.of('0x00', '5F', 1)).toEqual([record('0xaa')]);
  expect(again.of('0x01', '5F', 1)).toEqual([]);
  const [file] = readdirSync(directory);
  expect(statSync(join(directory, file as string)).mode & 0o777).toBe(0o600);
  again.remove(['0xaa']);
  expect(new Salts(directory).of('0x00', '5F', 1)).toEqual([]);
  expect(new Salts(directory).of('0x00', '5F', 2)).toHaveLength(1);
  expect(readdirSync(directory)).toHaveLength(1);
});

it('refuses to go on with a damaged file, and to lose a salt', () => {
  const directory = temporary();
  writeFileSync(join(directory, 'weight-salts.json'), '[{"hash":1}]');
  expect(() => new Salts(directory).add(record('0xaa'))).toThrowError(
    expect.objectContaining({ code: 'chain.salts_invalid' }),
  );
  const blocked = join(directory, 'file');
  writeFileSync(blocked, '');
  expect(() => new Salts(join(blocked, 'x')).add(record('0xaa'))).toThrowError(
    expect.objectContaining({ code: expect.stringMatching(/^chain.salts_/) }),
  );
});
