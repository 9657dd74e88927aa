/**
 * @file The JSON of the Hugging Face hub: what requests hold, and how repositories and commits are written.
 *
 * Source: @huggingface/hub 2.17.5 `src/types/api/*`, `src/lib/*`. Every file is shown as an LFS file, so that its
 * listing carries its SHA-256.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isRepoPath } from '../names.ts';
import type { Commit, Repository, TreeFile } from './repositories.ts';

const path = z.string().refine(isRepoPath, 'not a relative path inside the repository');
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const sizeBytes = z.number().int().nonnegative();
const inlineFile = z.object({ path, content: z.string(), encoding: z.enum(['utf-8', 'base64']).default('utf-8') });

/** Absent means a model. */
const type = z.enum(['model', 'dataset']).default('model');

export const createRequest = z.object({
  name: z.string(),
  organization: z.string(),
  type,
  private: z.boolean().optional(),
  visibility: z.enum(['public', 'private']).optional(),
  files: z.array(inlineFile).optional(),
});

export const deleteRequest = z.object({ name: z.string(), organization: z.string(), type });

export const settingsRequest = z
  .object({ private: z.boolean().optional(), visibility: z.enum(['public', 'private']).optional() })
  .refine((body) => body.private !== undefined || body.visibility !== undefined, 'want private or visibility');

export const preuploadRequest = z.object({ files: z.array(z.object({ path, size: sizeBytes })) });

export const lfsBatchRequest = z.object({
  operation: z.literal('upload'),
  objects: z.array(z.object({ oid: sha256, size: sizeBytes })),
});

export const pathsRequest = z.object({ paths: z.array(z.string()) });

/** One line of a commit request. */
export const commitLine = z.discriminatedUnion('key', [
  z.object({
    key: z.literal('header'),
    value: z.object({
      summary: z.string().max(1000),
      description: z.string().max(10_000).optional(),
      parentCommit: z.string().optional(),
    }),
  }),
  z.object({ key: z.literal('file'), value: inlineFile }),
  z.object({ key: z.literal('lfsFile'), value: z.object({ path, oid: sha256, size: sizeBytes.optional() }) }),
  z.object({ key: z.literal('deletedFile'), value: z.object({ path }) }),
]);

export function decodeInline(file: z.infer<typeof inlineFile>): Uint8Array {
  return Buffer.from(file.content, file.encoding === 'base64' ? 'base64' : 'utf8');
}

/** One folder of a tree (all below it when `recursive`), folders as entries of their own. */
export function treeEntries(commit: Commit, folder: string, recursive: boolean): object[] {
  const prefix = folder === '' ? '' : `${folder}/`;
  const folders = new Set<string>();
  const files: object[] = [];
  for (const file of commit.files) {
    if (!file.path.startsWith(prefix)) continue;
    const below = file.path.slice(prefix.length).split('/');
    const depth = recursive ? below.length : Math.min(below.length, 2);
    for (let i = 1; i < depth; i++) folders.add(prefix + below.slice(0, i).join('/'));
    if (recursive || below.length === 1) files.push(fileEntry(file));
  }
  return [...[...folders].map((at) => ({ type: 'directory', path: at, size: 0, oid: gitId('tree', at) })), ...files];
}

export function fileEntry(file: TreeFile): object {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${file.sha256}\nsize ${file.sizeBytes}\n`;
  const lfs = { oid: file.sha256, size: file.sizeBytes, pointerSize: pointer.length };
  return { type: 'file', path: file.path, size: file.sizeBytes, oid: gitId('blob', pointer), lfs };
}

export function repositoryInfo(repository: Repository, commit: Commit): object {
  const date = (ms: number) => new Date(ms).toISOString();
  return {
    _id: createHash('sha256').update(repository.name).digest('hex').slice(0, 24),
    id: repository.name,
    modelId: repository.name,
    author: repository.name.split('/')[0],
    sha: commit.id,
    private: repository.private,
    gated: false,
    disabled: false,
    downloads: 0,
    likes: 0,
    tags: [],
    createdAt: date(repository.createdAtMs),
    lastModified: date(commit.atMs),
    siblings: commit.files.map((file) => ({ rfilename: file.path })),
  };
}

export function commitEntry(commit: Commit): object {
  const { id, title, description: message, atMs } = commit;
  return { id, title, message, authors: [], date: new Date(atMs).toISOString() };
}

function gitId(type: 'blob' | 'tree', text: string): string {
  return createHash('sha1').update(`${type} ${text.length}\0${text}`).digest('hex');
}
