/**
 * @file Makes a fresh clone runnable: dependencies, kernels, compiled packages, web page; each only if needed.
 *
 * Plain Node without dependencies, because nothing is installed when it runs. Progress goes to stderr, one line per
 * step that had work to do. "Needed" is decided by content, not by memory of an earlier run: the installed packages
 * against package-lock.json, and a fingerprint (path, size, mtime) of each step's input files beside its outputs.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamps = join(root, 'node_modules/.cache/quasar');

/** Runs the steps in order. @throws Error with one line that says which step failed and what to do. */
export async function bootstrap() {
  checkNode();
  step('dependencies', 'npm ci', isInstalled, () =>
    // `--include=dev`: the compiler is a development dependency and must come even under NODE_ENV=production.
    run('npm', ['ci', '--include=dev', '--no-fund', '--no-audit'], 'look at the npm message above (network? disk?)'),
  );
  await kernels();
  const sources = fingerprint([...workspaces().map((name) => join(name, 'src')), ...configs()]);
  step(
    'packages',
    'tsc -b',
    () => isStamped('packages', sources) && outputsOfPackages().every(existsSync),
    () => {
      run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b'], 'fix the type errors above');
      stamp('packages', sources);
    },
  );
  if (!existsSync(join(root, 'apps/web/index.html'))) return;
  const page = fingerprint([join(root, 'apps/web')]);
  step(
    'web page',
    'vite build',
    () => isStamped('web', page) && existsSync(join(root, 'apps/web/dist/index.html')),
    () => {
      run(
        'npm',
        ['run', 'build', '--silent', '--workspace', 'apps/web', '--', '--logLevel', 'warn'],
        'look at the vite message above',
      );
      stamp('web', page);
    },
  );
}

/** Incremental by itself; a missing compiler is worth a line each time, because everything is slower without one. */
async function kernels() {
  const startedMs = Date.now();
  if (!existsSync(join(root, 'packages/tensor/build/quasar.node'))) {
    process.stderr.write('quasar: kernels (cc, about a minute) ...\n');
  }
  const { buildKernels } = await import('../packages/tensor/scripts/build-kernels.js');
  const { ok, message } = await buildKernels();
  const seconds = (Date.now() - startedMs) / 1000;
  if (!ok || !message.includes('up to date')) process.stderr.write(`quasar: ${message} (${seconds.toFixed(1)} s)\n`);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Error(`Node.js ${process.versions.node} is too old: Quasar needs 20.19 or newer (https://nodejs.org)`);
}

/** Is every package of the lock file that this platform needs installed in the locked version? */
function isInstalled() {
  const installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  const have = JSON.parse(readFileSync(installed, 'utf8')).packages;
  const want = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(want).every(
    ([path, entry]) => path === '' || (have[path] ? have[path].version === entry.version : entry.optional === true),
  );
}

function workspaces() {
  return readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name));
}

function configs() {
  const perPackage = workspaces().flatMap((path) => [join(path, 'tsconfig.json'), join(path, 'package.json')]);
  return [...perPackage, join(root, 'tsconfig.json'), join(root, 'tsconfig.base.json')].filter(existsSync);
}

function outputsOfPackages() {
  return workspaces().map((path) => join(path, 'dist/index.js'));
}

/** One digest over path, size and modification time of all files below `paths`. */
function fingerprint(paths) {
  const hash = createHash('sha256').update(process.version);
  const visit = (path) => {
    const stat = statSync(path);
    if (!stat.isDirectory()) return hash.update(`${path}\0${stat.size}\0${stat.mtimeMs}\n`);
    for (const name of readdirSync(path).sort()) {
      if (name !== 'node_modules' && name !== 'dist') visit(join(path, name));
    }
  };
  for (const path of paths) visit(path);
  return hash.digest('hex');
}

function isStamped(name, digest) {
  const path = join(stamps, name);
  return existsSync(path) && readFileSync(path, 'utf8') === digest;
}

function stamp(name, digest) {
  mkdirSync(stamps, { recursive: true });
  writeFileSync(join(stamps, name), digest);
}

function step(name, how, isDone, work) {
  if (isDone()) return;
  process.stderr.write(`quasar: ${name} (${how}) ...\n`);
  const startedMs = Date.now();
  work();
  process.stderr.write(`quasar: ${name} ready in ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`);
}

/** Runs a program with its output on our stderr, so that stdout stays free for results. */
function run(command, args, hint) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  const what = `${command === process.execPath ? 'node' : command} ${args.join(' ')}`.replaceAll(`${root}/`, '');
  throw new Error(`${what} failed${error ? ` (${error.message})` : ` with exit code ${status}`}: ${hint}`);
}

/** `bootstrap()` for the entry scripts: on failure one line on stderr and exit code 1. */
export async function bootstrapOrExit() {
  try {
    await bootstrap();
  } catch (error) {
    process.stderr.write(`quasar: ${error.message}\n`);
    process.exit(1);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bootstrapOrExit();
