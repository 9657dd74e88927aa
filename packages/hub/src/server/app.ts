/**
 * @file The routes of the local hub: the part of the Hugging Face HTTP interface that @huggingface/hub 2.17.5 uses.
 *
 * Reading: model info, tree, paths-info, resolve, commits, list. Writing: create, preupload, LFS batch, PUT of a
 * content, NDJSON commit, settings, delete. There are no users: everybody who reaches the port may write; a private
 * repository is hidden from every reader. Data sets have the same routes as models, under `/api/datasets` and `/datasets`.
 * Left out: spaces, branches, pull requests, xet.
 */
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { z } from 'zod';
import type { Blobs } from './blobs.ts';
import { HttpError } from './http-error.ts';
import type { Change, Repositories } from './repositories.ts';
import { sendFile } from './send-file.ts';
import * as wire from './wire.ts';

/** Everything but contents is small; contents have their own route. */
const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

export function createApp(models: Repositories, datasets: Repositories, blobs: Blobs): Hono {
  const app = new Hono();
  const limit = bodyLimit({
    maxSize: MAX_REQUEST_BYTES,
    onError: () => Promise.reject(new HttpError(413, 'request too large')),
  });

  app.onError((error, c) => {
    const known = error instanceof HttpError;
    if (!known && !c.req.raw.signal.aborted) console.error(error); // a client that hangs up is no fault of ours
    const message = known ? error.message : 'internal error of the local hub';
    if (known && error.errorCode !== undefined) c.header('x-error-code', error.errorCode);
    c.header('x-error-message', message.replace(/[^\x20-\x7e]/g, '?'));
    return c.json({ error: message }, known ? error.status : 500);
  });
  app.notFound((c) => c.json({ error: `the local hub has no ${c.req.method} ${c.req.path}` }, 404));

  // Data sets first: a file of theirs must not look like one of a model of an owner named `datasets`.
  const kinds = [
    { api: '/api/datasets', files: '/datasets', repositories: datasets },
    { api: '/api/models', files: '', repositories: models },
  ];
  for (const kind of kinds) addReading(app, kind, blobs);
  app.use('/api/*', limit);
  for (const { files } of kinds) app.use(`${files}/:owner/:repo/info/lfs/*`, limit);
  addRepositories(app, (type) => (type === 'dataset' ? datasets : models), blobs);
  for (const kind of kinds) addWriting(app, kind, blobs);
  return app;
}

/** Where one kind of repository is found: its JSON, and its files. */
interface Kind {
  api: string;
  files: string;
  repositories: Repositories;
}

function addReading(app: Hono, { api, files, repositories }: Kind, blobs: Blobs): void {
  app.get(api, (c) => {
    const author = c.req.query('author');
    const search = c.req.query('search')?.toLowerCase() ?? '';
    const found = repositories.list().filter(({ name }) => {
      return (author === undefined || name.startsWith(`${author}/`)) && name.toLowerCase().includes(search);
    });
    return c.json(
      found.map((repository) => wire.repositoryInfo(repository, repositories.commit(repository.name, 'main'))),
    );
  });

  const info = (c: Context) => {
    const repository = repositories.getVisible(nameOf(c));
    return c.json(
      wire.repositoryInfo(repository, repositories.commit(repository.name, c.req.param('revision') ?? 'main')),
    );
  };
  app.get(`${api}/:owner/:name`, info);
  app.get(`${api}/:owner/:name/revision/:revision`, info);

  const tree = (c: Context) => {
    const { name } = repositories.getVisible(nameOf(c));
    const commit = repositories.commit(name, c.req.param('revision') as string);
    const folder = c.req.param('path') ?? '';
    const entries = wire.treeEntries(commit, folder, c.req.query('recursive') === 'true');
    if (entries.length === 0 && folder !== '') throw new HttpError(404, `${folder} does not exist`, 'EntryNotFound');
    return c.json(entries);
  };
  app.get(`${api}/:owner/:name/tree/:revision`, tree);
  app.get(`${api}/:owner/:name/tree/:revision/:path{.+}`, tree);

  app.post(`${api}/:owner/:name/paths-info/:revision`, async (c) => {
    const { paths } = await readBody(c, wire.pathsRequest);
    const { name } = repositories.getVisible(nameOf(c));
    const { files } = repositories.commit(name, c.req.param('revision'));
    return c.json(files.filter((file) => paths.includes(file.path)).map(wire.fileEntry));
  });

  app.get(`${api}/:owner/:name/commits/:revision`, (c) => {
    const { name } = repositories.getVisible(nameOf(c));
    return c.json([...repositories.history(name, c.req.param('revision'))].map(wire.commitEntry));
  });

  app.get(`${files}/:owner/:name/:how{resolve|raw}/:revision/:path{.+}`, (c) => {
    const { name } = repositories.getVisible(nameOf(c));
    const commit = repositories.commit(name, c.req.param('revision'));
    const path = c.req.param('path');
    const file = commit.files.find((candidate) => candidate.path === path);
    if (file === undefined)
      throw new HttpError(404, `${path} does not exist in ${name} at ${commit.id}`, 'EntryNotFound');
    const content = { ...file, path: blobs.path(file.sha256), revision: commit.id };
    return sendFile(content, c.req.header('range'), c.req.method !== 'HEAD');
  });
}

/** Making and deleting: one address for all kinds. */
function addRepositories(app: Hono, of: (type: 'model' | 'dataset') => Repositories, blobs: Blobs): void {
  app.post('/api/repos/create', async (c) => {
    const body = await readBody(c, wire.createRequest);
    const name = `${body.organization}/${body.name}`;
    const files = new Map<string, { sha256: string; sizeBytes: number }>();
    for (const file of body.files ?? []) files.set(file.path, await blobs.put(wire.decodeInline(file)));
    of(body.type).create({ name, private: isPrivate(body), createdAtMs: Date.now() }, files);
    const place = body.type === 'dataset' ? `datasets/${name}` : name;
    return c.json({ url: `${originOf(c)}/${place}`, name, id: name });
  });

  app.delete('/api/repos/delete', async (c) => {
    const body = await readBody(c, wire.deleteRequest);
    of(body.type).delete(`${body.organization}/${body.name}`);
    return c.body(null, 200);
  });

  app.put('/lfs/:oid{[0-9a-f]{64}}', async (c) => {
    const sizeBytes = Number(c.req.query('size'));
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw new HttpError(400, 'want ?size=<bytes>');
    const body = (c.req.raw.body ?? new Blob([]).stream()) as unknown as AsyncIterable<Uint8Array>;
    await blobs.receive(body, { sha256: c.req.param('oid'), sizeBytes });
    return c.body(null, 200);
  });
}

function addWriting(app: Hono, { api, files, repositories }: Kind, blobs: Blobs): void {
  app.put(`${api}/:owner/:name/settings`, async (c) => {
    const body = await readBody(c, wire.settingsRequest);
    repositories.setPrivate(nameOf(c), isPrivate(body));
    return c.json({ private: isPrivate(body) });
  });

  app.post(`${api}/:owner/:name/preupload/:revision`, async (c) => {
    const asked = await readBody(c, wire.preuploadRequest);
    checkBranch(c, repositories);
    return c.json({ files: asked.files.map(({ path }) => ({ path, uploadMode: 'lfs', shouldIgnore: false })) });
  });

  app.post(`${files}/:owner/:repo{.+\\.git}/info/lfs/objects/batch`, async (c) => {
    const { objects } = await readBody(c, wire.lfsBatchRequest);
    repositories.get(`${c.req.param('owner')}/${c.req.param('repo').slice(0, -'.git'.length)}`);
    const answers = objects.map(({ oid, size }) => {
      if (blobs.size(oid) === size) return { oid, size };
      return { oid, size, actions: { upload: { href: `${originOf(c)}/lfs/${oid}?size=${size}` } } };
    });
    return c.json({ transfer: 'basic', objects: answers });
  });

  app.post(`${api}/:owner/:name/commit/:revision`, async (c) => {
    if (c.req.query('create_pr') !== undefined) throw new HttpError(400, 'the local hub has no pull requests');
    const change = await readCommit(await c.req.text(), blobs);
    checkBranch(c, repositories);
    const name = nameOf(c);
    const commit = repositories.change(name, change, Date.now());
    const commitUrl = `${originOf(c)}${files}/${name}/commit/${commit.id}`;
    return c.json({ success: true, commitOid: commit.id, commitUrl, hookOutput: '' });
  });
}

async function readCommit(text: string, blobs: Blobs): Promise<Change> {
  let header: { summary: string; description?: string | undefined; parentCommit?: string | undefined } | undefined;
  const files = new Map<string, { sha256: string; sizeBytes: number } | null>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const { key, value } = parse(line, wire.commitLine, `line ${index + 1} of the commit`);
    if (key === 'header') header = value;
    else if (key === 'deletedFile') files.set(value.path, null);
    else if (key === 'file') files.set(value.path, await blobs.put(wire.decodeInline(value)));
    else {
      const sizeBytes = blobs.size(value.oid);
      if (sizeBytes === null || (value.size !== undefined && value.size !== sizeBytes)) {
        throw new HttpError(422, `${value.path}: content ${value.oid} was not uploaded, or has another size`);
      }
      files.set(value.path, { sha256: value.oid, sizeBytes });
    }
  }
  if (header === undefined) throw new HttpError(400, 'the commit has no header line');
  return { title: header.summary, description: header.description, parentCommit: header.parentCommit, files };
}

/** Writing is to `main` of a repository that exists. */
function checkBranch(c: Context, repositories: Repositories): void {
  repositories.get(nameOf(c));
  const branch = c.req.param('revision');
  if (branch !== 'main')
    throw new HttpError(404, `the local hub has only the branch main, not ${branch}`, 'RevisionNotFound');
}

function isPrivate(body: { private?: boolean | undefined; visibility?: 'public' | 'private' | undefined }): boolean {
  return body.private ?? body.visibility === 'private';
}

function nameOf(c: Context): string {
  return `${c.req.param('owner')}/${c.req.param('name')}`;
}

function originOf(c: Context): string {
  return new URL(c.req.url).origin;
}

async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  return parse(await c.req.text(), schema, 'the request body');
}

function parse<T>(text: string, schema: z.ZodType<T>, what: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new HttpError(400, `${what} is not JSON`);
  }
  const result = schema.safeParse(json);
  if (!result.success) {
    const found = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
    throw new HttpError(400, `${what}: ${found}`);
  }
  return result.data;
}
