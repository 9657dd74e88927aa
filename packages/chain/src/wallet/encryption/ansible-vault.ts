/**
 * @file Key files of earlier years: Ansible Vault 1.1 and 1.2, AES256.
 *
 * A line of header, then hex of "hex(salt) \n hex(mac) \n hex(ciphertext)" in lines of 80. PBKDF2-HMAC-SHA256 with 10,000
 * rounds gives 32 bytes for AES-256-CTR, 32 for the HMAC-SHA256 over the ciphertext, 16 for the counter; PKCS#7 padding.
 * Source: the public description of the Ansible Vault payload format. Only read: new files are written in the new way.
 */
import { createDecipheriv, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';

export const ANSIBLE_MARK = '$ANSIBLE_VAULT';
const BLOCK_BYTES = 16;

interface Vault {
  salt: Buffer;
  mac: Buffer;
  ciphertext: Buffer;
}

/** Null: not in this format. */
export function parseVault(file: Uint8Array): Vault | null {
  const [header = '', ...lines] = Buffer.from(file).toString('latin1').split(/\r?\n/);
  if (!/^\$ANSIBLE_VAULT;1\.[12];AES256(;.*)?$/.test(header)) return null;
  const body = unhex(lines.join('').trim())?.toString('latin1').split('\n').map(unhex);
  const [salt, mac, ciphertext] = body ?? [];
  if (!salt || mac?.length !== 32 || !ciphertext || ciphertext.length === 0) return null;
  return ciphertext.length % BLOCK_BYTES === 0 ? { salt, mac, ciphertext } : null;
}

/** Null: another password, or a damaged file. */
export function openVault({ salt, mac, ciphertext }: Vault, password: string): Uint8Array | null {
  const keys = pbkdf2Sync(password, salt, 10_000, 80, 'sha256');
  const expected = createHmac('sha256', keys.subarray(32, 64)).update(ciphertext).digest();
  if (!timingSafeEqual(expected, mac)) return null;
  const cipher = createDecipheriv('aes-256-ctr', keys.subarray(0, 32), keys.subarray(64));
  const padded = Buffer.concat([cipher.update(ciphertext), cipher.final()]);
  const padding = padded.at(-1) ?? 0;
  return padding >= 1 && padding <= BLOCK_BYTES ? new Uint8Array(padded.subarray(0, -padding)) : null;
}

function unhex(text: string): Buffer | null {
  return text.length % 2 === 0 && /^[0-9a-f]+$/i.test(text) ? Buffer.from(text, 'hex') : null;
}
