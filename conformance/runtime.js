/**
 * @file A real subtensor runtime behind a WebSocket, in this process: `node conformance/runtime.js SPEC.json [SLOT_MS]`.
 *
 * Prints one line of JSON, {url, startedInMs}, then serves until stdin ends. SPEC is a chain specification, plain
 * (`genesis.runtimeGenesis`) or raw. The notes below are what it takes to run a subtensor runtime under chopsticks.
 */
import { readFileSync } from 'node:fs';
import { setupWithServer } from '@acala-network/chopsticks';
import { emptyTaskHandler, getAuraSlotDuration, runTask } from '@acala-network/chopsticks-core';

const CODE_KEY = '0x3a636f6465';
/** Timestamp.Now. */
const NOW_KEY = '0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb';
/** The chain's clock begins here in every run; after genesis of drand quicknet. */
const GENESIS_TIME_MS = 1_760_000_000_000;

const [path, slotMs] = process.argv.slice(2);
if (!path) throw new Error('usage: node conformance/runtime.js SPEC.json [SLOT_MS]');
const startedMs = Date.now();
const spec = JSON.parse(readFileSync(path, 'utf8'));
const top = spec.genesis.raw?.top ?? (await rawGenesis(spec.genesis.runtimeGenesis));

// Without a time in genesis the first block takes the host's, twice, and fails when a slot ends between.
const now = Buffer.alloc(8);
now.writeBigUInt64LE(BigInt(GENESIS_TIME_MS));
top[NOW_KEY] ??= hex(now);

// The probe for the slot duration does not allow unresolved imports, fails, and falls back to 12 s.
if (slotMs) getAuraSlotDuration.cache.set(top[CODE_KEY], Promise.resolve(Number(slotMs)));

const { addr, close } = await setupWithServer({
  genesis: {
    name: spec.name,
    id: spec.id,
    properties: spec.properties,
    genesis: { raw: { top, childrenDefault: {} } },
  },
  host: '127.0.0.1',
  port: 0,
  'build-block-mode': 'Batch',
  // The runtime imports host functions for verifying drand pulses that are absent here; nothing else calls them.
  'allow-unresolved-imports': true,
  'runtime-log-level': 0,
});
process.stdout.write(`${JSON.stringify({ url: `ws://${addr}`, startedInMs: Date.now() - startedMs })}\n`);
process.stdin.resume();
process.stdin.on('end', async () => {
  await close();
  process.exit(0);
});

/** The storage that the runtime's own genesis builder makes of its preset and the specification's patch. */
async function rawGenesis({ code, patch }) {
  const preset = unwrapBytes(await call(code, 'GenesisBuilder_get_preset', '0x00'));
  const genesis = merge(preset === null ? {} : JSON.parse(preset), patch);
  const { storageDiff } = await task(code, 'GenesisBuilder_build_state', wrapBytes(JSON.stringify(genesis)));
  return { ...Object.fromEntries(storageDiff.filter(([, value]) => value)), [CODE_KEY]: code };
}

async function call(wasm, name, argument) {
  return (await task(wasm, name, argument)).result;
}

async function task(wasm, name, argument) {
  const answer = await runTask(
    { wasm, calls: [[name, [argument]]], mockSignatureHost: false, allowUnresolvedImports: true, runtimeLogLevel: 0 },
    { ...emptyTaskHandler, getStorage: async () => undefined, getNextKey: async () => undefined },
  );
  if ('Error' in answer) throw new Error(`${name}: ${answer.Error}`);
  return answer.Call;
}

/** JSON merge patch: null removes. */
function merge(into, patch) {
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch;
  const merged = into !== null && typeof into === 'object' && !Array.isArray(into) ? { ...into } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}

/** SCALE bytes, length in front. */
function wrapBytes(text) {
  const bytes = Buffer.from(text);
  const mode = [2 ** 6, 2 ** 14, 2 ** 30].findIndex((limit) => bytes.length < limit);
  const length = Buffer.alloc(2 ** mode);
  length.writeUIntLE(bytes.length * 4 + mode, 0, 2 ** mode);
  return hex(Buffer.concat([length, bytes]));
}

/** The text of SCALE Option<bytes>; null: none. */
function unwrapBytes(answer) {
  const bytes = Buffer.from(answer.slice(2), 'hex');
  if (bytes[0] !== 1) return null;
  const mode = bytes[1] & 3;
  if (mode === 3) throw new Error('a genesis preset above 1 GB');
  const size = 2 ** mode;
  const length = bytes.readUIntLE(1, size) >>> 2;
  return bytes.subarray(1 + size, 1 + size + length).toString();
}

function hex(bytes) {
  return `0x${bytes.toString('hex')}`;
}
