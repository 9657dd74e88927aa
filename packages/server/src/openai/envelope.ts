/** @file What every answer says about itself: its number, the model, the king. */
import type { Context } from 'hono';
import type { Loan } from '../models/model-shelf.ts';

export function envelope(id: string, object: string, loan: Loan, createdUnix = Math.floor(Date.now() / 1000)) {
  return {
    id,
    object,
    created: createdUnix,
    model: loan.king ? `king@${loan.king.revision}` : loan.id,
    system_fingerprint: loan.fingerprint,
  };
}

/** `X-Quasar-King: <uid>/<revision>/<crowned at block>`. */
export function nameKing(c: Context, { king }: Loan): void {
  if (king) c.header('X-Quasar-King', `${king.uid}/${king.revision}/${king.crownedAtBlock}`);
}
