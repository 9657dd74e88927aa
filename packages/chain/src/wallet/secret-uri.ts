/**
 * @file Secret URIs: `phrase//hard/soft///password`, where the phrase may be a 0x seed, or absent for Substrate's public
 * development phrase (`//Alice`).
 *
 * A junction that is a number stands for its u64, little endian; another one for its SCALE string (compact length, UTF-8),
 * hashed with blake2b-256 when that is longer than 32 bytes; zeros fill it up to 32. Source: sp-core `DeriveJunction`.
 */
import { blake2b } from '@noble/hashes/blake2.js';
import { QuasarError } from '@quasar/base';
import { HDKD, secretFromSeed } from '@scure/sr25519';
import { KeyPair } from './keypair.ts';
import { seedOfPhrase } from './phrase.ts';

/** Public, and published for that: its keys are on every development chain. */
const DEVELOPMENT_PHRASE = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk';
const U64_MAX = 2n ** 64n - 1n;

/** @throws chain.phrase_invalid, which never quotes the text */
export function keyPairFromUri(uri: string): KeyPair {
  const parts = /^(?<root>[^/]*)(?<path>(?:\/\/?[^/]+)*)(?:\/\/\/(?<password>.*))?$/su.exec(uri.trim())?.groups;
  if (parts === undefined) throw refuse('is no phrase with //hard and /soft junctions');
  const root = parts.root?.trim() ?? '';
  const junctions = [...(parts.path ?? '').matchAll(/(\/\/?)([^/]+)/gu)];
  if (junctions.length === 0 && parts.password === undefined && !root.startsWith('0x')) return KeyPair.fromPhrase(root);
  const seed = root.startsWith('0x')
    ? seedFromHex(root)
    : seedOfPhrase(root === '' ? DEVELOPMENT_PHRASE : root, parts.password).seed;
  if (junctions.length === 0) return KeyPair.fromSeed(seed);
  let secret: Uint8Array = secretFromSeed(seed);
  for (const [, slashes, name = ''] of junctions) {
    const step = slashes === '//' ? HDKD.secretHard : HDKD.secretSoft;
    secret = step(secret, chainCode(name));
  }
  return KeyPair.fromSecret(secret);
}

function chainCode(name: string): Uint8Array {
  const code = new Uint8Array(32);
  if (/^\d+$/.test(name) && BigInt(name) <= U64_MAX) {
    new DataView(code.buffer).setBigUint64(0, BigInt(name), true);
    return code;
  }
  const text = new TextEncoder().encode(name);
  if (text.length >= 16_384) throw refuse('has a junction of more than 16 KB');
  const length = text.length < 64 ? [text.length << 2] : [((text.length << 2) & 0xff) | 1, text.length >> 6];
  const encoded = Uint8Array.from([...length, ...text]);
  if (encoded.length > 32) return blake2b(encoded, { dkLen: 32 });
  code.set(encoded);
  return code;
}

function seedFromHex(text: string): Uint8Array {
  if (!/^0x[0-9a-f]{64}$/i.test(text)) throw refuse('begins with 0x but is no seed of 64 hex digits');
  return new Uint8Array(Buffer.from(text.slice(2), 'hex'));
}

function refuse(why: string): QuasarError {
  return new QuasarError('chain.phrase_invalid', `the secret ${why}`, {
    hint: 'expected 12 to 24 words, or a seed of 0x and 64 hex digits',
  });
}
