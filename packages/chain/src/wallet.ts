/**
 * @file Hotkeys: sr25519 key pairs and their files.
 *
 * The file is the plain hotkey JSON of Bittensor wallets: {accountId, publicKey, privateKey, secretPhrase, secretSeed,
 * ss58Address}, hex with 0x. `secretSeed` is used first, then `privateKey` (schnorrkel scalar | nonce; the ed25519 form of
 * polkadot-js is understood too), and the result must match the public key in the file.
 * Source: opentensor/btwallet 4.0.0. Left out: encrypted files and files that hold a phrase only.
 * No error ever quotes the contents of a wallet file.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import { getPublicKey, secretFromSeed, sign, verify } from '@scure/sr25519';
import type { Wallet } from './port.ts';
import { writeSecretOnce } from './secret-file.ts';
import { ss58Decode, ss58Encode } from './ss58.ts';

const ENCRYPTED_MARKS = ['$NACL', '$ANSIBLE_VAULT', 'gAAAAA'];

class Hotkey implements Wallet {
  readonly hotkey: string;
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#secret = secret;
    this.hotkey = ss58Encode(getPublicKey(secret));
  }

  get address(): string {
    return this.hotkey;
  }

  sign(message: Uint8Array): Uint8Array {
    return sign(this.#secret, message);
  }
}

/** A wallet that lives in memory only. @param seed 32-byte mini secret */
export function walletFromSeed(seed: Uint8Array): Wallet {
  if (seed.length !== 32) throw new QuasarError('chain.wallet_invalid', `a seed has 32 bytes, got ${seed.length}`);
  return new Hotkey(secretFromSeed(seed));
}

/** Whether `hotkey` made `signature` over `message`. False, never an exception, for malformed input. */
export function verifySignature(hotkey: string, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(message, signature, ss58Decode(hotkey));
  } catch {
    return false;
  }
}

/**
 * Opens the hotkey file at `path`, or creates it (mode 0600, never over an existing file).
 * Throws `chain.wallet_invalid`, `chain.wallet_encrypted`, `chain.wallet_unsupported`, `chain.wallet_unreadable`.
 */
export function openWallet(path: string): Wallet {
  const text = readIfPresent(path);
  if (text !== null) return parseWallet(text, path);
  writeSecretOnce(path, `${JSON.stringify(newHotkeyFile())}\n`);
  return parseWallet(readIfPresent(path) ?? '', path);
}

function readIfPresent(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new QuasarError('chain.wallet_unreadable', `cannot read the wallet file ${path}`, {
      hint: 'check that it is a file and that you may read it',
      cause: error,
    });
  }
}

function newHotkeyFile(): Record<string, string | null> {
  const seed = randomBytes(32);
  const secret = secretFromSeed(seed);
  const publicKey = getPublicKey(secret);
  return {
    accountId: hex(publicKey),
    publicKey: hex(publicKey),
    privateKey: hex(shiftScalar(secret, -3)),
    secretPhrase: null,
    secretSeed: hex(seed),
    ss58Address: ss58Encode(publicKey),
  };
}

function parseWallet(text: string, path: string): Wallet {
  if (ENCRYPTED_MARKS.some((mark) => text.startsWith(mark))) {
    throw new QuasarError('chain.wallet_encrypted', `the wallet file ${path} is encrypted`, {
      hint: 'use a plain hotkey file; a coldkey is never needed here',
    });
  }
  const invalid = (why: string) =>
    new QuasarError('chain.wallet_invalid', `the wallet file ${path} ${why}`, {
      hint: 'expected the JSON of a plain Bittensor hotkey; restore it from your backup, or move it away to create a new one',
    });
  let file: Record<string, unknown>;
  try {
    file = JSON.parse(text);
  } catch {
    throw invalid('is not JSON');
  }
  if (file === null || typeof file !== 'object' || Array.isArray(file)) throw invalid('is not a JSON object');
  const expected = expectedAddress(file, invalid);
  const candidates = secretCandidates(file, invalid);
  if (candidates.length === 0) {
    throw new QuasarError(
      'chain.wallet_unsupported',
      `the wallet file ${path} holds neither secretSeed nor privateKey`,
      {
        hint: 'a file with only a phrase or an address cannot sign here; regenerate the hotkey file with its seed',
      },
    );
  }
  for (const secret of candidates) {
    const wallet = new Hotkey(secret);
    if (expected === null || wallet.hotkey === expected) return wallet;
  }
  throw invalid(`has a secret that does not belong to its address ${expected}`);
}

function expectedAddress(file: Record<string, unknown>, invalid: (why: string) => QuasarError): string | null {
  if (typeof file.ss58Address === 'string') {
    try {
      return ss58Encode(ss58Decode(file.ss58Address));
    } catch {
      throw invalid('has a malformed ss58Address');
    }
  }
  const key = file.publicKey ?? file.accountId;
  if (key === undefined || key === null) return null;
  const bytes = unhex(key, 32);
  if (bytes === null) throw invalid('has a malformed publicKey');
  return ss58Encode(bytes);
}

/** 64-byte secrets in the form of @scure/sr25519 (scalar times 8 | nonce) that the file may mean, likeliest first. */
function secretCandidates(file: Record<string, unknown>, invalid: (why: string) => QuasarError): Uint8Array[] {
  if (typeof file.secretSeed === 'string') {
    const seed = unhex(file.secretSeed, 32);
    if (seed === null) throw invalid('has a malformed secretSeed');
    return [secretFromSeed(seed)];
  }
  if (typeof file.privateKey === 'string') {
    const key = unhex(file.privateKey, 64);
    if (key === null) throw invalid('has a malformed privateKey');
    return [shiftScalar(key, 3), key];
  }
  return [];
}

/** The little-endian scalar in the first 32 bytes shifted left by `bits` (right when negative), mod 2^256. */
function shiftScalar(secret: Uint8Array, bits: 3 | -3): Uint8Array {
  const out = Buffer.from(secret);
  const scalar = BigInt(`0x${Buffer.from(secret.subarray(0, 32)).reverse().toString('hex')}`);
  const shifted = BigInt.asUintN(256, bits > 0 ? scalar << 3n : scalar >> 3n);
  out.set(Buffer.from(shifted.toString(16).padStart(64, '0'), 'hex').reverse());
  return new Uint8Array(out);
}

function hex(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString('hex')}`;
}

function unhex(value: unknown, sizeBytes: number): Uint8Array | null {
  if (typeof value !== 'string') return null;
  const digits = value.replace(/^0x/, '');
  if (digits.length !== sizeBytes * 2 || !/^[0-9a-f]*$/i.test(digits)) return null;
  return new Uint8Array(Buffer.from(digits, 'hex'));
}
