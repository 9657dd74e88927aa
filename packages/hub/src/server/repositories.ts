/**
 * @file Repositories and their commits on disk.
 *
 *     <kind>/<owner>/<name>/repo.json            who may read it
 *     <kind>/<owner>/<name>/commits/<id>.json    the whole tree of one commit, never changed
 *     <kind>/<owner>/<name>/main                 the id of the newest commit
 *
 * The kind is `repos` for models and `datasets` for data sets, which share nothing but contents.
 *
 * id = sha1(canonical JSON of tree, parent, message, time). A commit file is complete before `main` names it, each
 * by an atomic rename: a crash leaves the old revision or the new one. Changing a repository is synchronous, so two
 * requests cannot interleave; one process per directory. Left out: branches, tags, pull requests, users.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { canonicalJson, writeFileAtomic } from '@quasar/base';
import { isPinnedRevision, isRepoName } from '../names.ts';
import { HttpError } from './http-error.ts';

export interface TreeFile {
  path: string;
  sizeBytes: number;
  sha256: string;
}

export interface Commit {
  id: string;
  parent: string | null;
  title: string;
  description: string;
  atMs: number;
  /** The whole tree, ordered by path. */
  files: TreeFile[];
}

export interface Repository {
  name: string;
  private: boolean;
  createdAtMs: number;
}

export interface Change {
  title: string;
  description?: string | undefined;
  /** When given, the commit is refused if somebody committed meanwhile. */
  parentCommit?: string | undefined;
  /** Null removes the file. Applied in order. */
  files: ReadonlyMap<string, Omit<TreeFile, 'path'> | null>;
}

export class Repositories {
  readonly #directory: string;
  readonly #root: string;

  constructor(directory: string, kind: 'repos' | 'datasets') {
    this.#directory = directory;
    this.#root = join(directory, kind);
    mkdirSync(this.#root, { recursive: true });
  }

  /** @throws HttpError 404 */
  get(name: string): Repository {
    if (!isRepoName(name) || !existsSync(this.#path(name))) throw notFound(name);
    return readJson<Repository>(join(this.#path(name), 'repo.json'));
  }

  /** As `get`, for readers: a private repository is as good as absent. */
  getVisible(name: string): Repository {
    const repository = this.get(name);
    if (repository.private) throw notFound(name);
    return repository;
  }

  /** Every repository that readers may see, by name. */
  list(): Repository[] {
    return readdirSync(this.#root)
      .flatMap((owner) => readdirSync(join(this.#root, owner)).map((name) => this.get(`${owner}/${name}`)))
      .filter((repository) => !repository.private)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Makes a repository with its first commit. @throws HttpError 400, 409 */
  create(repository: Repository, files: Change['files']): void {
    const { name } = repository;
    if (!isRepoName(name))
      throw new HttpError(400, `"${name}" is no repository name: want owner/name of A-Z a-z 0-9 . _ -`);
    if (existsSync(this.#path(name))) throw new HttpError(409, `You already created this repo: ${name}`);
    const staged = join(this.#directory, 'tmp', randomBytes(8).toString('hex'));
    const first = makeCommit(null, { title: 'initial commit', files }, repository.createdAtMs);
    writeFileAtomic(join(staged, 'repo.json'), JSON.stringify(repository));
    writeFileAtomic(join(staged, 'commits', `${first.id}.json`), JSON.stringify(first));
    writeFileAtomic(join(staged, 'main'), first.id);
    mkdirSync(dirname(this.#path(name)), { recursive: true });
    renameSync(staged, this.#path(name));
  }

  setPrivate(name: string, isPrivate: boolean): void {
    writeFileAtomic(join(this.#path(name), 'repo.json'), JSON.stringify({ ...this.get(name), private: isPrivate }));
  }

  /** Contents stay in the blob store: another repository may have the same ones. */
  delete(name: string): void {
    this.get(name);
    const grave = join(this.#directory, 'tmp', randomBytes(8).toString('hex'));
    renameSync(this.#path(name), grave);
    rmSync(grave, { recursive: true });
  }

  /** `main`, `HEAD` or a full commit id. @throws HttpError 404 */
  commit(name: string, revision: string): Commit {
    const path = this.#path(name);
    const id = revision === 'main' || revision === 'HEAD' ? readFileSync(join(path, 'main'), 'utf8') : revision;
    const file = join(path, 'commits', `${id}.json`);
    if (!isPinnedRevision(id) || !existsSync(file)) {
      throw new HttpError(404, `Invalid rev id: ${revision}`, 'RevisionNotFound');
    }
    return readJson<Commit>(file);
  }

  /** From `revision` back to the first commit. */
  *history(name: string, revision: string): Generator<Commit> {
    for (let at: string | null = revision; at !== null; ) {
      const commit = this.commit(name, at);
      yield commit;
      at = commit.parent;
    }
  }

  /** Commits to `main`. A change that changes nothing gives the newest commit back, as git would refuse it. */
  change(name: string, change: Change, atMs: number): Commit {
    const head = this.commit(name, 'main');
    if (change.parentCommit !== undefined && change.parentCommit !== head.id) {
      throw new HttpError(412, `${name}: main is at ${head.id}, not at the given parent ${change.parentCommit}`);
    }
    const next = makeCommit(head, change, atMs);
    if (canonicalJson(next.files) === canonicalJson(head.files)) return head;
    writeFileAtomic(join(this.#path(name), 'commits', `${next.id}.json`), JSON.stringify(next));
    writeFileAtomic(join(this.#path(name), 'main'), next.id);
    return next;
  }

  #path(name: string): string {
    return join(this.#root, name);
  }
}

function makeCommit(parent: Commit | null, change: Change, atMs: number): Commit {
  const tree = new Map((parent?.files ?? []).map((file) => [file.path, file]));
  for (const [path, content] of change.files) {
    if (content === null) tree.delete(path);
    else tree.set(path, { path, ...content });
  }
  const body = {
    parent: parent?.id ?? null,
    title: change.title,
    description: change.description ?? '',
    atMs,
    files: [...tree.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
  return { id: createHash('sha1').update(canonicalJson(body)).digest('hex'), ...body };
}

function notFound(name: string): HttpError {
  return new HttpError(404, `Repository not found: ${name}`, 'RepoNotFound');
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}
