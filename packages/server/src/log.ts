/** @file JSON log lines on stderr. Stdout stays free for what a command prints. */
import { type Logger, pino } from 'pino';

/** @param level pino level; `silent` for none. Default: the environment's `QUASAR_LOG_LEVEL`, else `info`. */
export function createLog(level: string = process.env.QUASAR_LOG_LEVEL ?? 'info'): Logger {
  const options = {
    level,
    base: { room: 'server' },
    redact: ['req.headers.authorization', 'headers.authorization', 'authorization'],
  };
  return pino(options, pino.destination({ fd: 2, sync: true }));
}
