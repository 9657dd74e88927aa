/** @file The wasm device on a page of a real browser, as a bundler ships it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumPath, openBrowser } from './support/browser.ts';
import { REPOSITORY } from './support/paths.ts';
import { run } from './support/run.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};
const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** What e2e/support/wasm-page/main.js offers. */
interface ProductPage {
  runProducts(threads: number): Promise<{ name: string; isa: string; threads: number; errors: number[] }>;
  openError(): Promise<string | null>;
}

describe.skipIf(!chromiumPath && !process.env.CI)('the wasm device in a browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'quasar-wasm-page-'));
  let server: Server;
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    const page = join(REPOSITORY, 'e2e/support/wasm-page');
    const build = ['NODE_ENV=production', 'npx', 'vite', 'build', page, '--outDir', folder, '--emptyOutDir'];
    const { code, stderr } = await run('env', build, { cwd: join(REPOSITORY, 'apps/web') });
    expect(code, stderr).toBe(0);
    server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://page');
      const path = pathname === '/' ? '/index.html' : pathname;
      try {
        const body = readFileSync(join(folder, path));
        response.writeHead(200, {
          'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream',
          ...(searchParams.has('open') ? {} : ISOLATED),
        });
        response.end(body);
      } catch {
        response.writeHead(404).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    browser = await openBrowser();
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([1, 2, 3])('multiplies on %i threads', async (threads) => {
    const page = await browser.newPage();
    await page.goto(url);
    const result = await page.evaluate((count) => (window as unknown as ProductPage).runProducts(count), threads);
    expect(result).toMatchObject({ name: 'wasm', threads, isa: expect.stringMatching(/^simd128/) });
    for (const error of result.errors) expect(error).toBeLessThan(2e-6);
    await page.close();
  });

  it('refuses a page that may not share memory', async () => {
    const page = await browser.newPage();
    await page.goto(`${url}?open`);
    expect(await page.evaluate(() => (window as unknown as ProductPage).openError())).toBe('tensor.not_isolated');
    await page.close();
  });
});
