/** @file Floor 1: the local hub. */
export { type LocalHub, type LocalHubOptions, serveHub } from './server/serve.ts';
