/**
 * @file The JSON of a key file: {accountId, publicKey, privateKey, secretPhrase, secretSeed, ss58Address, cryptoType}.
 *
 * Every member may be absent. Of the secrets the reference takes the phrase, then the seed, then the private key; here the
 * first that belongs to the file's own address is taken, so that a file with a damaged member still opens, and one whose
 * members contradict each other does not sign with another key than it names. Source: opentensor/btwallet 4.
 * No error ever quotes the contents.
 */
import { QuasarError } from '@quasar/base';
import { ss58Decode, ss58Encode } from '../ss58.ts';
import { KeyPair } from './keypair.ts';

/** `cryptoType` of the public MultiSignature enumeration. Absent in older files. */
const SR25519 = 1;

type Fields = Record<string, unknown>;

/** @param path for messages. @throws chain.wallet_invalid, chain.wallet_unsupported */
export function parseSecretKey(text: string, path: string): KeyPair {
  const file = parseFields(text, path);
  const expected = expectedAddress(file, path);
  const malformed: string[] = [];
  let contradicts = false;
  for (const [name, read] of READERS) {
    const value = file[name];
    if (value === undefined || value === null) continue;
    const candidates = read(value);
    if (candidates === null) malformed.push(name);
    for (const keyPair of candidates ?? []) {
      if (expected === null || keyPair.address === expected) return keyPair;
      contradicts = true;
    }
  }
  if (malformed.length > 0) throw invalid(path, `has a malformed ${malformed.join(' and ')}`);
  if (contradicts) throw invalid(path, `has a secret that does not belong to its address ${expected}`);
  throw new QuasarError('chain.wallet_unsupported', `the wallet file ${path} holds no secret`, {
    hint: 'it has an address only, which can be looked up but cannot sign; give the secret key file',
  });
}

/** The address in a key file, secret or public. @throws chain.wallet_invalid */
export function parseAddress(text: string, path: string): string {
  const address = expectedAddress(parseFields(text, path), path);
  return address ?? parseSecretKey(text, path).address;
}

/** In the order of the reference. Null: malformed. */
const READERS: [name: string, read: (value: unknown) => KeyPair[] | null][] = [
  ['secretPhrase', (value) => orNull(() => [KeyPair.fromPhrase(String(value))])],
  [
    'secretSeed',
    (value) => {
      const seed = unhex(value, 32);
      return seed === null ? null : [KeyPair.fromSeed(seed)];
    },
  ],
  [
    'privateKey',
    (value) => {
      const key = unhex(value, 64);
      return key === null ? null : orNull(() => [KeyPair.fromFileSecret(key), KeyPair.fromSecret(key)]);
    },
  ],
];

function parseFields(text: string, path: string): Fields {
  let file: Fields;
  try {
    file = JSON.parse(text);
  } catch {
    throw invalid(path, 'is not JSON');
  }
  if (file === null || typeof file !== 'object' || Array.isArray(file)) throw invalid(path, 'is not a JSON object');
  if ((file.cryptoType ?? SR25519) !== SR25519) {
    throw new QuasarError('chain.wallet_unsupported', `the wallet file ${path} is not an sr25519 key`, {
      hint: 'make an sr25519 key: ed25519 keys cannot be registered through this program',
    });
  }
  return file;
}

function expectedAddress(file: Fields, path: string): string | null {
  const key = file.publicKey ?? file.accountId ?? null;
  const bytes = key === null ? null : unhex(key, 32);
  if (key !== null && bytes === null) throw invalid(path, 'has a malformed publicKey');
  const ofKey = bytes === null ? null : ss58Encode(bytes);
  if (file.ss58Address === undefined || file.ss58Address === null) return ofKey;
  let address: string;
  try {
    address = ss58Encode(ss58Decode(String(file.ss58Address)));
  } catch {
    throw invalid(path, 'has a malformed ss58Address');
  }
  if (ofKey !== null && ofKey !== address) throw invalid(path, 'has an ss58Address that is not of its publicKey');
  return address;
}

function unhex(value: unknown, sizeBytes: number): Uint8Array | null {
  if (typeof value !== 'string') return null;
  const digits = value.replace(/^0x/, '');
  if (digits.length !== sizeBytes * 2 || !/^[0-9a-f]*$/i.test(digits)) return null;
  return new Uint8Array(Buffer.from(digits, 'hex'));
}

function orNull<T>(make: () => T): T | null {
  try {
    return make();
  } catch {
    return null;
  }
}

export function invalid(path: string, why: string): QuasarError {
  return new QuasarError('chain.wallet_invalid', `the wallet file ${path} ${why}`, {
    hint: 'expected a Bittensor key file; restore it from your backup, or move it away to create a new one',
  });
}
