/** @file Floor 0: what every room needs and no room owns: errors, seeded randomness, canonical bytes, atomic files. */
export { durationText } from './duration.ts';
export { formatIssues, type Issue, QuasarError, type QuasarErrorOptions, type Result } from './errors.ts';
export { createFile, discardFile, writeFileAtomic } from './files.ts';
export { encodeFrame, FrameError, FrameReader, parseJsonFrame } from './frames.ts';
export { canonicalJson, sha256Hex } from './json.ts';
export {
  findProgram,
  type Isolation,
  networkIsolation,
  networkNamespace,
  permissionFlags,
} from './network-isolation.ts';
export { endAll, identify, isAlive, type ProcessIdentity } from './process-identity.ts';
export { Rng } from './rng.ts';
export { runParallel } from './run-parallel.ts';
export { sleep } from './sleep.ts';
export { pauseMs, untilThere, type WaitOptions } from './until-there.ts';
