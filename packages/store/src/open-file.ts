/**
 * @file Opening the SQLite file, made when absent and brought to the newest schema.
 *
 * A new file is made complete under another name and then linked into place. So a file that exists is a whole one,
 * and an empty or torn file is damage that is reported, never a fresh start.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Connection, corrupt, unopenable } from './connection.ts';
import { migrate } from './migrations.ts';

/**
 * @param options.check Whether to read the whole file for damage first; without, damage shows when its page is read.
 * @throws QuasarError `store.corrupt` | `store.newer_schema` | `store.foreign_file` | `store.unopenable` | `store.busy` | `store.disk`
 */
export function openFile(path: string, nowMs: number, options: { check: boolean }): Connection {
  if (path !== ':memory:') {
    if (existsSync(path)) checkNotEmpty(path);
    else create(path, nowMs);
  }
  const connection = new Connection(path, 'wal');
  try {
    if (options.check) {
      const [check] = connection.all<{ quick_check: string }>('PRAGMA quick_check(1)');
      if (check?.quick_check !== 'ok') throw corrupt(path, check?.quick_check ?? 'unreadable');
    }
    migrate(connection, nowMs);
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
}

function checkNotEmpty(path: string): void {
  if (statSync(path).size === 0) throw corrupt(path, 'it is empty');
}

/** Two processes may race here: the first link wins, the other's file is dropped. */
function create(path: string, nowMs: number): void {
  if (existsSync(`${path}-wal`)) throw corrupt(path, 'its -wal file is there, but the file itself is missing');
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (cause) {
    throw unopenable(path, cause);
  }
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    // Not WAL yet: its shared-memory file is found by name, and this name goes away.
    const connection = new Connection(temporary, 'delete');
    migrate(connection, nowMs);
    connection.close();
    try {
      linkSync(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const directory = openSync(dirname(path), 'r');
    fsyncSync(directory); // the name itself must survive a power cut
    closeSync(directory);
  } finally {
    rmSync(temporary, { force: true });
    rmSync(`${temporary}-journal`, { force: true });
  }
}
