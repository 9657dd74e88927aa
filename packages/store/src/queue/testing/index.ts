/** @file `@quasar/store/testing`: what tests and benches of other packages need to try the queue on a real Postgres. */
export { childrenOf, findPostgres, skipWithoutPostgres, startPostgres, type ThrowawayPostgres } from './postgres.ts';
