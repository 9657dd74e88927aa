/** @file How much a hub may cost us: every number that bounds time, memory or disk, with its reason. */

const KIB = 1024;
const MIB = 1024 * KIB;

export interface HubLimits {
  /** Files of one revision: config, tokenizer, index, shards and a README are far fewer. */
  maxFiles: number;
  /** The hub lists up to a thousand entries per page, so one is enough. */
  maxPages: number;
  /** Files of one data set: the largest on the hub have some ten thousand. */
  maxDatasetFiles: number;
  /** As many pages as that many files can need. */
  maxDatasetPages: number;
  /** One page of a listing; 64 entries are about 20 KiB. */
  maxPageBytes: number;
  /** The hub keeps larger files in LFS, with a SHA-256 of their own. */
  maxGitFileBytes: number;
  /** All files of a revision that have only a git id and must be read to learn their SHA-256. */
  maxGitTotalBytes: number;
  /** One ranged read; a safetensors header is at most 16 MiB. */
  maxRangeBytes: number;
  /** The hub redirects a file to its storage once; renamed repositories add one. */
  maxRedirects: number;
  /** Until the headers of an answer are there. */
  answerTimeoutMs: number;
  /** A transfer must bring at least `minWindowBytes` in every window of this length, or it is given up. */
  windowMs: number;
  /** Per window: 2 MiB in 30 s is 70 kB/s; a hub that drips bytes is as good as none. */
  minWindowBytes: number;
  /** One call of `download`, all files and retries. */
  downloadTimeoutMs: number;
  /** Before the second try of a request, the third, ...; a file that was cut goes on where it stopped. Source: subnet.md section 4. */
  retryDelaysMs: readonly number[];
  /** The hub may ask for a longer pause, up to this; beyond it nobody waits here, the caller comes back later. */
  maxRetryAfterMs: number;
  /** No try begins later than this after the first one (a download has `downloadTimeoutMs` instead). */
  lastRetryMs: number;
}

export const DEFAULT_LIMITS: HubLimits = {
  maxFiles: 64,
  maxPages: 4,
  maxDatasetFiles: 50_000,
  maxDatasetPages: 64,
  maxPageBytes: 4 * MIB,
  maxGitFileBytes: 10 * MIB,
  maxGitTotalBytes: 32 * MIB,
  maxRangeBytes: 64 * MIB,
  maxRedirects: 3,
  answerTimeoutMs: 30_000,
  windowMs: 30_000,
  minWindowBytes: 2 * MIB,
  downloadTimeoutMs: 2 * 3600_000,
  retryDelaysMs: [500, 1500, 4000],
  maxRetryAfterMs: 20_000,
  lastRetryMs: 60_000,
};
