/**
 * @file Secret phrases: BIP-39 words, and Substrate's own way from the words to a seed.
 *
 * Substrate stretches the *entropy* of the words (PBKDF2-HMAC-SHA512, 2048 rounds, salt "mnemonic", first 32 of 64 bytes),
 * where BIP-39 stretches the words. A BIP-39 wallet of another chain therefore has other keys for the same phrase.
 */
import { pbkdf2Sync } from 'node:crypto';
import { QuasarError } from '@quasar/base';
import { generateMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';

/** A phrase of 12 words has 128 bits. */
export const PHRASE_LENGTHS = [12, 15, 18, 21, 24] as const;

/** A fresh phrase. @param words 12, 15, 18, 21 or 24 */
export function newPhrase(words = 12): string {
  if (!PHRASE_LENGTHS.some((length) => length === words)) {
    throw new QuasarError('chain.phrase_invalid', `a phrase of ${words} words`, {
      hint: `expected ${PHRASE_LENGTHS.join(', ')} words`,
    });
  }
  return generateMnemonic(wordlist, (words / 3) * 32);
}

/**
 * The 32-byte mini secret of a phrase; `password` is Substrate's `///password`, not that of a file.
 * @throws chain.phrase_invalid, which never quotes a word
 */
export function seedOfPhrase(phrase: string, password = ''): { seed: Uint8Array; words: string[] } {
  const words = phrase.trim().toLowerCase().split(/\s+/);
  const refuse = (why: string) =>
    new QuasarError('chain.phrase_invalid', `the secret phrase ${why}`, {
      hint: 'give the words in their order, separated by spaces; they come from the English BIP-39 list',
    });
  if (!PHRASE_LENGTHS.some((length) => length === words.length)) {
    throw refuse(`has ${words.length} words, expected ${PHRASE_LENGTHS.join(', ')}`);
  }
  const unknown = words.flatMap((word, w) => (wordlist.includes(word) ? [] : [w + 1]));
  if (unknown.length > 0) throw refuse(`has words that are in no list, at position ${unknown.join(', ')}`);
  let entropy: Uint8Array;
  try {
    entropy = mnemonicToEntropy(words.join(' '), wordlist);
  } catch {
    throw refuse('has the wrong checksum: a word is wrong, or two are exchanged');
  }
  return { seed: new Uint8Array(pbkdf2Sync(entropy, `mnemonic${password}`, 2048, 64, 'sha512')).slice(0, 32), words };
}
