/** @file Crowns, dethronings and disqualifications as a JSON Feed (jsonfeed.org, version 1.1), for any reader of feeds. */
import type { Announcement, Contest } from '@quasar/subnet';

/** @param announcements oldest first */
export function publicFeed(announcements: readonly Announcement[], contest: Contest): Record<string, unknown> {
  const validator = contest.started?.hotkey ?? null;
  return {
    version: 'https://jsonfeed.org/version/1.1',
    title: 'Quasar: crowns and disqualifications',
    description: 'What one validator of the Quasar contest decided, newest first.',
    items: announcements.toReversed().map((one) => ({
      id: `${validator ?? 'validator'}/${one.seq}`,
      title: one.title,
      content_text: one.reason === null ? one.title : `${one.title}. ${one.reason}`,
      date_published: one.at,
      tags: one.label === null ? [one.kind] : [one.kind, one.label],
      _quasar: { ...one, validator },
    })),
  };
}
