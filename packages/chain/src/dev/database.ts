/**
 * @file The SQLite file of the dev chain: tables, durability, and one owner at a time.
 *
 * WAL with synchronous = FULL: a committed block survives a SIGKILL and a power cut. The owner holds an exclusive
 * transaction on the empty neighbour `<path>-lock`; the operating system drops it when the process dies.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { QuasarError } from '@quasar/base';
import Database from 'libsql';

const SCHEMA_VERSION = 5;

const SCHEMA = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
  CREATE TABLE extrinsics (
    signer TEXT NOT NULL, nonce TEXT NOT NULL, block INTEGER NOT NULL, position INTEGER NOT NULL, at_block INTEGER NOT NULL,
    call TEXT NOT NULL, signature TEXT NOT NULL, result TEXT NOT NULL, PRIMARY KEY (signer, nonce)) STRICT;
  CREATE TABLE subnets (
    netuid INTEGER PRIMARY KEY, last_epoch INTEGER NOT NULL, epoch_index INTEGER NOT NULL, burn_rao REAL NOT NULL,
    burn_at INTEGER NOT NULL) STRICT;
  CREATE TABLE bonds (netuid INTEGER PRIMARY KEY, bond_rows BLOB NOT NULL) STRICT;
  CREATE TABLE hidden (
    netuid INTEGER PRIMARY KEY, weight_commits TEXT NOT NULL, timelocks TEXT NOT NULL, space TEXT NOT NULL) STRICT;
  CREATE TABLE events (
    block INTEGER NOT NULL, netuid INTEGER NOT NULL, kind TEXT NOT NULL, hotkey TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
  CREATE INDEX events_of ON events (netuid, block);
  CREATE TABLE balances (address TEXT PRIMARY KEY, rao INTEGER NOT NULL) STRICT;
  CREATE TABLE owners (hotkey TEXT PRIMARY KEY, coldkey TEXT NOT NULL) STRICT;
  CREATE TABLE stakes (netuid INTEGER NOT NULL, hotkey TEXT NOT NULL, rao INTEGER NOT NULL, PRIMARY KEY (netuid, hotkey)) STRICT;
  CREATE TABLE neurons (
    netuid INTEGER NOT NULL, uid INTEGER NOT NULL, from_block INTEGER NOT NULL, hotkey TEXT NOT NULL, coldkey TEXT NOT NULL,
    registered_at INTEGER NOT NULL, last_update INTEGER NOT NULL, stake_rao INTEGER NOT NULL, active INTEGER NOT NULL,
    permit INTEGER NOT NULL, incentive INTEGER NOT NULL, dividends INTEGER NOT NULL, consensus INTEGER NOT NULL,
    validator_trust INTEGER NOT NULL, emission_rao INTEGER NOT NULL, PRIMARY KEY (netuid, uid, from_block)) STRICT;
  CREATE TABLE commitments (
    netuid INTEGER NOT NULL, revealed_at INTEGER NOT NULL, committed_at INTEGER NOT NULL, hotkey TEXT NOT NULL,
    uid INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (netuid, revealed_at, hotkey)) STRICT;
  CREATE TABLE weights (
    netuid INTEGER NOT NULL, validator_uid INTEGER NOT NULL, from_block INTEGER NOT NULL, hotkey TEXT NOT NULL,
    set_at INTEGER NOT NULL, uids TEXT NOT NULL, u16_values TEXT NOT NULL,
    PRIMARY KEY (netuid, validator_uid, from_block)) STRICT;
`;

export interface ChainDatabase {
  sql: Database.Database;
  close(): void;
}

/** Opens or creates. Throws `chain.locked` when another process owns the file, `chain.database_invalid` when it is not ours. */
export function openDatabase(path: string): ChainDatabase {
  if (path === ':memory:') {
    const sql = new Database(path);
    migrate(sql, path);
    return { sql, close: () => sql.close() };
  }
  const lock = takeLock(path);
  try {
    const sql = new Database(path);
    sql.exec('PRAGMA journal_mode = WAL');
    sql.exec('PRAGMA synchronous = FULL');
    migrate(sql, path);
    return {
      sql,
      close() {
        try {
          sql.exec('PRAGMA wal_checkpoint(TRUNCATE)');
        } catch {
          // Tidiness only: the next open reads the log just as well.
        }
        sql.close();
        release(lock);
      },
    };
  } catch (error) {
    release(lock);
    throw openError(path, error);
  }
}

/** Only `exec` on this connection: libsql keeps a connection with prepared statements alive after `close`. */
function takeLock(path: string): Database.Database {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const lock = new Database(`${path}-lock`);
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    throw openError(path, error);
  }
}

function release(lock: Database.Database): void {
  lock.exec('ROLLBACK');
  lock.close();
}

function migrate(sql: Database.Database, path: string): void {
  const version = (sql.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
  if (version === SCHEMA_VERSION) return;
  const tables = sql.prepare('SELECT count(*) AS n FROM sqlite_schema').get() as { n: number };
  if (version !== 0 || tables.n > 0) {
    throw new QuasarError(
      'chain.database_invalid',
      `${path} has schema version ${version}, expected ${SCHEMA_VERSION}`,
      {
        hint: 'it was made by another program or version; `quasar up --fresh` forgets the whole net of its home and starts a new one, or move the file away',
      },
    );
  }
  sql.exec('BEGIN IMMEDIATE');
  sql.exec(SCHEMA);
  sql.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  sql.exec('COMMIT');
}

function openError(path: string, cause: unknown): unknown {
  if (cause instanceof QuasarError) return cause;
  const code = (cause as { code?: unknown }).code;
  if (code === 'SQLITE_BUSY') {
    return new QuasarError('chain.locked', `another process already runs the chain in ${path}`, {
      hint: 'stop the other one, or connect to it',
      retry: 'later',
      cause,
    });
  }
  const what =
    code === 'SQLITE_NOTADB' || code === 'SQLITE_CORRUPT' ? 'is not an intact SQLite file' : 'cannot be opened';
  return new QuasarError('chain.database_invalid', `the chain file ${path} ${what}`, {
    hint: 'check the path and the permissions; move a damaged file away to start a new chain',
    cause,
  });
}
