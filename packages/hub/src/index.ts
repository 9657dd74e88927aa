/** @file Floor 1: checkpoints by name and revision: the client with its rules, and a local hub that speaks the same HTTP. */
export { snapshotDirectory } from './client/cache.ts';
export { type CacheUsage, cacheUsage } from './client/cache-room.ts';
export { createHubClient, type HubClient, type HubClientOptions, type HubFile, type Listing } from './client/client.ts';
export { DEFAULT_LIMITS, type HubLimits } from './client/limits.ts';
export type { PublishFile } from './client/publish.ts';
export type { Clock } from './client/retry.ts';
export { isDatasetName, isFlatFileName, isPinnedRevision, isRepoName } from './names.ts';
export { type LocalHub, type LocalHubOptions, serveHub } from './server/serve.ts';
