/** @file A plain commitment as the metadata names it: Raw0 to Raw128 by length, then BigRaw. */
import { QuasarError } from '@quasar/base';

const RAW_MAX_BYTES = 128;
const BIG_RAW_MAX_BYTES = 512;

/** Throws `chain.commitment_too_large`. */
export function commitmentField(data: string): { type: string; value: unknown } {
  const bytes = Buffer.from(data);
  if (bytes.length > BIG_RAW_MAX_BYTES) {
    throw new QuasarError(
      'chain.commitment_too_large',
      `${bytes.length} bytes, at most ${BIG_RAW_MAX_BYTES} in the open`,
      {
        hint: 'commit a pointer, not the thing itself',
      },
    );
  }
  if (bytes.length > RAW_MAX_BYTES) return { type: 'BigRaw', value: new Uint8Array(bytes) };
  // One byte is a plain number to the codec, longer ones are hex.
  const value = bytes.length === 1 ? bytes[0] : `0x${bytes.toString('hex')}`;
  return { type: `Raw${bytes.length}`, value };
}
