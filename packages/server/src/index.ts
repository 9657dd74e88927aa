/** @file Floor 6: HTTP. The OpenAI-compatible API, the dashboard JSON, the event stream and the built page. */
export { APP_LIMITS, type App, type AppLimits, type AppOptions, createApp } from './app.ts';
export { DashboardReader } from './dashboard/dashboard.ts';
export { createLog } from './log.ts';
export type { KingIdentity } from './models/model-shelf.ts';
export type { StreamedToken, TextEngine } from './models/text-engine.ts';
export { type Served, type ServeOptions, serve } from './serve.ts';
export type { Dashboard } from './wire.ts';
