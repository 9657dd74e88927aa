/**
 * @file The built page, held in memory: only names found at start can be asked for, so no path leaves the directory.
 *
 * Files under `assets/` carry a hash in their name and are cached for ever; `index.html` answers every other path
 * that looks like a page. A page that is not built yet is explained instead of a bare 404.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Context } from 'hono';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.map': 'application/json',
  '.webmanifest': 'application/manifest+json',
};
const COMPRESSIBLE = /^(text\/|image\/svg|application\/(json|manifest))/;

interface StaticFile {
  bytes: Uint8Array<ArrayBuffer>;
  gzip: Uint8Array<ArrayBuffer> | null;
  type: string;
  etag: string;
  isImmutable: boolean;
}

export class StaticFiles {
  readonly #files = new Map<string, StaticFile>();

  /** @param directory of the build; missing or empty is fine */
  constructor(directory: string | undefined) {
    if (!directory || !existsSync(directory)) return;
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue; // links too are left out
      const path = join(entry.parentPath, entry.name);
      const name = path
        .slice(directory.replace(/[/\\]+$/, '').length)
        .split(sep)
        .join('/');
      this.#files.set(name, readStatic(path, name));
    }
  }

  get hasPage(): boolean {
    return this.#files.has('/index.html');
  }

  /** The file of this request's path, the page for paths without an extension, or null. */
  answer(c: Context): Response | null {
    const path = c.req.path;
    const exact = this.#files.get(path === '/' ? '/index.html' : path);
    if (exact) return send(c, exact);
    const isPage = !/\.[A-Za-z0-9]+$/.test(path) && (c.req.header('accept') ?? '*/*').match(/text\/html|\*\/\*/);
    if (!isPage) return null;
    const page = this.#files.get('/index.html');
    return page ? send(c, page) : c.html(NOT_BUILT, 503);
  }
}

function readStatic(path: string, name: string): StaticFile {
  const bytes = new Uint8Array(readFileSync(path));
  const type = TYPES[extname(name).toLowerCase()] ?? 'application/octet-stream';
  return {
    bytes,
    gzip: COMPRESSIBLE.test(type) ? new Uint8Array(gzipSync(bytes)) : null,
    type,
    etag: `"${createHash('sha256').update(bytes).digest('hex').slice(0, 24)}"`,
    isImmutable: name.startsWith('/assets/'),
  };
}

function send(c: Context, file: StaticFile): Response {
  c.header('ETag', file.etag);
  c.header('Cache-Control', file.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache');
  c.header('Vary', 'Accept-Encoding');
  if (c.req.header('if-none-match') === file.etag) return c.body(null, 304);
  c.header('Content-Type', file.type);
  if (file.gzip && /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')) {
    c.header('Content-Encoding', 'gzip');
    return c.body(file.gzip);
  }
  return c.body(file.bytes);
}

const NOT_BUILT = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Quasar</title>
<h1>The dashboard is not built yet</h1><p>Run <code>npm run build -w @quasar/web</code> and start the server again.</p>
<p>The API works: <a href="/api/dashboard.json">/api/dashboard.json</a>, <a href="/health">/health</a>.</p></html>`;
