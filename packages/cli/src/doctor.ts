/** @file What this machine offers to Quasar, and what is missing with what that costs. */
import { accessSync, constants, existsSync, readdirSync, statfsSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { type CacheUsage, cacheUsage } from '@quasar/hub';
import { deviceReport, nativeAvailable } from '@quasar/tensor';
import { Home } from './home.ts';
import { DEFAULT_PORTS, isPortFree } from './ports.ts';

export interface DoctorReport {
  device: string;
  /** Why this device. */
  why: string;
  threads: number;
  isa: string;
  compiler: string | null;
  node: string;
  platform: string;
  memoryBytes: { total: number; free: number };
  home: { path: string; writable: boolean; freeBytes: number | null };
  /** Of the hub, by the name of who downloads. */
  caches: Record<string, CacheUsage>;
  ports: Record<string, { port: number; free: boolean }>;
  chromium: string | null;
  postgres: string | null;
  /** One sentence each: what is missing and what follows from it. */
  missing: string[];
}

export async function examine(home: string): Promise<DoctorReport> {
  const { device, threads, isa, why } = deviceReport();
  const compiler = findProgram(process.env.CC === undefined ? ['cc', 'gcc', 'clang'] : [process.env.CC]);
  const ports: DoctorReport['ports'] = {};
  for (const [name, port] of Object.entries(DEFAULT_PORTS)) ports[name] = { port, free: await isPortFree(port) };
  const chromium = findProgram(['chromium', 'chromium-browser', 'google-chrome', 'chrome']);
  const postgres = findProgram(['postgres', 'psql']);
  const homeState = { path: home, ...homeAccess(home) };
  return {
    device,
    why,
    threads,
    isa,
    compiler,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    memoryBytes: { total: totalmem(), free: freemem() },
    home: homeState,
    caches: cachesOf(new Home(home)),
    ports,
    chromium,
    postgres,
    missing: [
      ...(nativeAvailable() ? [] : [`native kernels, the fastest: run \`npm start\` after installing gcc or clang`]),
      ...(compiler === null ? ['a C compiler (cc, gcc or clang): kernels cannot be compiled'] : []),
      ...(homeState.writable ? [] : [`${home} cannot be written: choose another folder with --home`]),
      ...(chromium === null ? ['Chromium: the dashboard test cannot run (Debian: apt-get install chromium)'] : []),
    ],
  };
}

/** What the caches of a home hold of hubs. */
function cachesOf(home: Home): Record<string, CacheUsage> {
  const names = existsSync(home.cacheFolder('')) ? readdirSync(home.cacheFolder('')).sort() : [];
  const isHubCache = (name: string) => existsSync(join(home.cacheFolder(name), 'blobs'));
  return Object.fromEntries(names.filter(isHubCache).map((name) => [name, cacheUsage(home.cacheFolder(name))]));
}

/** The home itself or, when it does not exist yet, whether it can be made. */
function homeAccess(home: string): { writable: boolean; freeBytes: number | null } {
  let existing = home;
  while (!existsSync(existing)) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(existing);
    return { writable: true, freeBytes: bavail * bsize };
  } catch {
    return { writable: false, freeBytes: null };
  }
}

function findProgram(names: readonly string[]): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of names) {
      const path = join(folder, name);
      if (folder !== '' && existsSync(path)) return path;
    }
  }
  return null;
}
