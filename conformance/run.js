/**
 * @file `npm run test:conformance [-- vitest arguments]`: the chain adapter against a real subtensor runtime.
 *
 * SUBTENSOR_SPEC       chain specification (.json, plain or raw) with the runtime; without it nothing runs, and that is said
 * SUBTENSOR_SLOT_MS    its slot duration where it is not 12 s (1000 for the development build of spec 293)
 * SUBTENSOR_METADATA   SCALE metadata of the public network: its calls are encoded and compared byte for byte
 * SUBTENSOR_RECORD     a directory: what the runtime computed in epochs is written there as test vectors
 *
 * The runtime runs under chopsticks, which is installed here, beside this file, when it is first needed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..');
const spec = process.env.SUBTENSOR_SPEC ?? '';

if (spec === '') skip('SUBTENSOR_SPEC is not set; it names the chain specification (.json) of a subtensor runtime');
else if (!existsSync(spec)) skip(`SUBTENSOR_SPEC names ${spec}, which does not exist`);
else if (!spec.endsWith('.json')) skip(`SUBTENSOR_SPEC names ${spec}: only .json is read, unpack it first`);
else {
  if (!isInstalled()) run('npm', ['ci', '--ignore-scripts', '--no-fund', '--no-audit'], here);
  run(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'conformance', ...process.argv.slice(2)],
    root,
  );
}

function skip(why) {
  console.log(`conformance: skipped: ${why}`);
}

function isInstalled() {
  const installed = join(here, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  const version = (path) =>
    JSON.parse(readFileSync(path, 'utf8')).packages['node_modules/@acala-network/chopsticks']?.version;
  return version(installed) === version(join(here, 'package-lock.json'));
}

function run(command, args, cwd) {
  const { status } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
