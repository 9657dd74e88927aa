/**
 * @file Ss58 addresses of 32-byte public keys.
 *
 * base58(prefix | key | first two bytes of blake2b-512("SS58PRE" | prefix | key)), one prefix byte.
 * Source: the Substrate ss58 registry; Bittensor uses the generic prefix 42. Two-byte prefixes (>= 64) are left out.
 */
import { blake2b } from '@noble/hashes/blake2.js';
import { QuasarError } from '@quasar/base';
import { base58 } from '@scure/base';

/** The prefix of every Bittensor address. */
export const SS58_PREFIX = 42;

function checksum(body: Uint8Array): Uint8Array {
  return blake2b(Buffer.concat([Buffer.from('SS58PRE'), body]), { dkLen: 64 }).subarray(0, 2);
}

/** @param publicKey 32 bytes */
export function ss58Encode(publicKey: Uint8Array): string {
  if (publicKey.length !== 32) {
    throw new QuasarError('chain.address_invalid', `ss58: a public key has 32 bytes, got ${publicKey.length}`);
  }
  const body = Buffer.concat([Buffer.of(SS58_PREFIX), publicKey]);
  return base58.encode(Buffer.concat([body, checksum(body)]));
}

/** The 32-byte public key of an address with prefix 42. Throws `chain.address_invalid`. */
export function ss58Decode(address: string): Uint8Array {
  const refuse = (why: string) =>
    new QuasarError('chain.address_invalid', `not an ss58 address: ${JSON.stringify(address.slice(0, 64))}: ${why}`, {
      hint: 'a hotkey address has 48 characters and begins with 5',
    });
  if (address.length > 64) throw refuse(`${address.length} characters`);
  let bytes: Uint8Array;
  try {
    bytes = base58.decode(address);
  } catch {
    throw refuse('not base58');
  }
  if (bytes.length !== 35) throw refuse(`decodes to ${bytes.length} bytes, expected 35`);
  if (bytes[0] !== SS58_PREFIX) throw refuse(`prefix ${bytes[0]}, expected ${SS58_PREFIX}`);
  const expected = checksum(bytes.subarray(0, 33));
  if (bytes[33] !== expected[0] || bytes[34] !== expected[1])
    throw refuse('the checksum does not match (a typing error?)');
  return bytes.slice(1, 33);
}

/** Whether `ss58Decode` takes it. */
export function isSs58(address: string): boolean {
  try {
    ss58Decode(address);
    return true;
  } catch {
    return false;
  }
}
