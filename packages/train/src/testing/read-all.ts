/** @file For tests: everything that a reader yields and passes over, and a folder to write files to. */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { type DataFile, formatOf } from '../data/files.ts';
import type { RawDocument, ReadOptions, Skip } from '../data/readers/document.ts';
import { readDocuments } from '../data/readers/read.ts';

/** A folder of each test's own; the function writes a file below it and gives its path. */
export function testFolder(): { path: () => string; write: (name: string, content: string | Uint8Array) => string } {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quasar-data-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  return {
    path: () => folder,
    write(name, content) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
      return path;
    },
  };
}

export function dataFile(path: string): DataFile {
  return { path, ...(formatOf(path) ?? { format: 'text', isGzip: false }), sizeBytes: statSync(path).size };
}

export async function readAll(
  path: string,
  options: Partial<ReadOptions> = {},
): Promise<{ documents: RawDocument[]; skips: Skip[] }> {
  const skips: Skip[] = [];
  const documents: RawDocument[] = [];
  const all = { textField: 'text', passageBytes: 4096, onSkip: (skip: Skip) => skips.push(skip), ...options };
  for await (const some of readDocuments(dataFile(path), all)) documents.push(...some);
  return { documents, skips };
}

export function texts(documents: readonly RawDocument[]): string[] {
  return documents.map((document) => ('text' in document ? document.text : JSON.stringify(document.messages)));
}
