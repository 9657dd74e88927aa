/** @file JSON log lines on stderr. Stdout stays free for what a command prints. */
import { QuasarError } from '@quasar/base';
import { type Logger, pino, stdSerializers } from 'pino';

/** @param level pino level; `silent` for none. Default: the environment's `QUASAR_LOG_LEVEL`, else `info`. */
export function createLog(level: string = process.env.QUASAR_LOG_LEVEL ?? 'info'): Logger {
  const options = {
    level,
    base: { room: 'server' },
    serializers: { err: serialized },
    redact: ['req.headers.authorization', 'headers.authorization', 'authorization'],
  };
  return pino(options, pino.destination({ fd: 2, sync: true }));
}

/** What is known to pass is no defect: a stack would only hide what it says. */
function serialized(error: Error): object {
  if (!(error instanceof QuasarError) || error.retry !== 'later') return stdSerializers.err(error);
  const { code, message, hint } = error;
  return { code, message, hint };
}
