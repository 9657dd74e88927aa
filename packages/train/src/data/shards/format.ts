/**
 * @file A shard: the token ids of some data files, tokenised once, in a folder named by the digest of all that made it.
 *
 *     header.json    what is in it, and the SHA-256 of that
 *     tokens.bin     ids one after another, uint16 when the vocabulary has at most 65,536 entries, else uint32
 *     targets.bin    where there are conversations: a bit per token, 1 for those that the model is to produce
 *     index.bin      16 bytes per passage, see `PassageEntry`
 *
 * All numbers are little-endian. A passage is a document, or a part of a long text that can be held out by itself.
 */
import { canonicalJson, sha256Hex } from '@quasar/base';

export const SHARD_VERSION = 1;
export const ENTRY_BYTES = 16;
export const SHARD_FILES = { header: 'header.json', tokens: 'tokens.bin', targets: 'targets.bin', index: 'index.bin' };

/** Findings of one kind in one file. */
export interface SkippedPart {
  /** Which of the files that the shard was made of. */
  file: number;
  code: string;
  count: number;
  /** The first: where, what, and what to do. */
  line?: number | undefined;
  message: string;
  hint: string;
}

export interface ShardHeader {
  version: number;
  key: string;
  bytesPerId: 2 | 4;
  tokens: number;
  passages: number;
  /** Texts and conversations: passages that do not continue another. */
  documents: number;
  hasTargets: boolean;
  /** Of the text, in UTF-8. */
  textBytes: number;
  skipped: SkippedPart[];
}

export interface PassageEntry {
  tokens: number;
  /** The first 32 bits of the SHA-256 of its text: decides whether it is held out. */
  draw: number;
  /** Of its text, in UTF-8. */
  textBytes: number;
  /** Whether it goes on where the passage before it ends. */
  continues: boolean;
  /** Bytes of text that are not predicted when a document starts here: those of its first token, or 0 when that is `<|bos|>`. */
  firstBytes: number;
}

const CONTINUES = 0x80000000;

export function writeEntry(entry: PassageEntry, view: DataView, at: number): void {
  view.setUint32(at, entry.tokens, true);
  view.setUint32(at + 4, entry.draw, true);
  view.setUint32(at + 8, entry.textBytes, true);
  view.setUint32(at + 12, (entry.firstBytes | (entry.continues ? CONTINUES : 0)) >>> 0, true);
}

export function readEntry(view: DataView, at: number): PassageEntry {
  const last = view.getUint32(at + 12, true);
  return {
    tokens: view.getUint32(at, true),
    draw: view.getUint32(at + 4, true),
    textBytes: view.getUint32(at + 8, true),
    continues: last >= CONTINUES,
    firstBytes: last & ~CONTINUES,
  };
}

export function emitHeader(header: ShardHeader): string {
  return `${JSON.stringify({ header, sha256: sha256Hex(canonicalJson(header)) })}\n`;
}

/** Null when the text is not what `emitHeader` wrote. */
export function parseHeader(text: string): ShardHeader | null {
  try {
    const { header, sha256 } = JSON.parse(text) as { header: ShardHeader; sha256: unknown };
    return header.version === SHARD_VERSION && sha256Hex(canonicalJson(header)) === sha256 ? header : null;
  } catch {
    return null;
  }
}

/** Sizes that the other files must have. */
export function fileSizes(header: ShardHeader): Record<'tokens' | 'targets' | 'index', number> {
  return {
    tokens: header.tokens * header.bytesPerId,
    targets: header.hasTargets ? Math.ceil(header.tokens / 8) : 0,
    index: header.passages * ENTRY_BYTES,
  };
}
