/** @file Who submitted what, what became of it, and why. */
import type { Submission, SubmissionStatus } from '@quasar/server/wire';
import { Fragment, useState } from 'react';
import { count, uidName } from '../format.ts';
import { Empty, Panel } from '../parts/panel.tsx';
import { Revision } from '../parts/revision.tsx';
import { Uid } from '../parts/uid.tsx';

const STATUS: Record<SubmissionStatus, { name: string; tone: string; meaning: string }> = {
  king: { name: 'king', tone: 'crown', meaning: 'Reigns now.' },
  dethroned: { name: 'dethroned', tone: 'plain', meaning: 'Was king and lost the throne in a duel.' },
  pending: { name: 'pending', tone: 'info', meaning: 'Waits for its duel.' },
  stale: {
    name: 'stale',
    tone: 'warn',
    meaning: 'Its files could not be read in several rounds: asked for less often.',
  },
  lost: { name: 'lost', tone: 'bad', meaning: 'Was not proven better than the king.' },
  COPY: { name: 'COPY', tone: 'warn', meaning: 'Repeats an earlier submission.' },
  DEFERRED: { name: 'DEFERRED', tone: 'warn', meaning: 'Too near an earlier submission to tell a copy from training.' },
  REMOVED: { name: 'REMOVED', tone: 'warn', meaning: 'Its files are no longer on the hub.' },
  INVALID: { name: 'INVALID', tone: 'warn', meaning: 'Its files do not pass the prechecks.' },
  EVAL_ERROR: { name: 'EVAL_ERROR', tone: 'warn', meaning: 'It could not be evaluated.' },
};

const FILTERS: { name: string; keeps: (status: SubmissionStatus) => boolean }[] = [
  { name: 'All', keeps: () => true },
  { name: 'In the contest', keeps: (status) => status === 'king' || status === 'pending' || status === 'stale' },
  { name: 'Judged', keeps: (status) => status === 'lost' || status === 'dethroned' || status === 'king' },
  { name: 'Refused', keeps: (status) => STATUS[status].tone === 'warn' },
];
const SHOWN_FIRST = 12;

export function Submissions({ submissions }: { submissions: Submission[] }) {
  const [filter, setFilter] = useState(0);
  const [isAll, setIsAll] = useState(false);
  const [openId, setOpenId] = useState<string | null>(null);
  const kept = submissions.filter((one) => FILTERS[filter]?.keeps(one.status));
  const shown = isAll ? kept : kept.slice(0, SHOWN_FIRST);
  return (
    <Panel
      name="submissions"
      title="Submissions"
      aside={
        <fieldset className="chips">
          <legend className="hidden">Show</legend>
          {FILTERS.map((one, index) => (
            <button key={one.name} type="button" aria-pressed={index === filter} onClick={() => setFilter(index)}>
              {one.name}
              <span className="chip-count">{submissions.filter((each) => one.keeps(each.status)).length}</span>
            </button>
          ))}
        </fieldset>
      }
    >
      {shown.length === 0 ? (
        <Empty title={submissions.length === 0 ? 'Nobody has submitted yet' : 'None of this kind'}>
          {submissions.length === 0
            ? 'Publish a checkpoint to the hub and commit its revision on the chain; it appears here when the chain reveals it.'
            : 'Choose another filter to see the rest.'}
        </Empty>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">uid</th>
              <th scope="col">Repository</th>
              <th scope="col">Revision</th>
              <th scope="col" className="right">
                Block
              </th>
              <th scope="col">Status</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((one) => (
              <Row
                key={one.id}
                one={one}
                isOpen={openId === one.id}
                onToggle={() => setOpenId(openId === one.id ? null : one.id)}
              />
            ))}
          </tbody>
        </table>
      )}
      {kept.length > SHOWN_FIRST && (
        <button type="button" className="more" onClick={() => setIsAll(!isAll)}>
          {isAll ? 'Show the newest only' : `Show all ${kept.length}`}
        </button>
      )}
    </Panel>
  );
}

function Row({ one, isOpen, onToggle }: { one: Submission; isOpen: boolean; onToggle: () => void }) {
  const status = STATUS[one.status];
  const canOpen = one.notes.length > 0;
  const badge = `badge badge-${status.tone}`;
  const notesId = `notes-${one.id}`;
  return (
    <Fragment>
      <tr data-testid="submission" data-status={one.status} className={isOpen ? 'is-open' : undefined}>
        <td>
          <Uid uid={one.uid} side={one.status === 'king' ? 'king' : undefined} />
        </td>
        <td className="cell-repo" title={`${one.hf_repo}, hotkey ${one.hotkey}`}>
          {one.hf_repo}
        </td>
        <td className="cell-revision">
          <Revision value={one.revision} label="revision" />
        </td>
        <td className="right number cell-block">{count(one.block)}</td>
        <td className="cell-status">
          {canOpen ? (
            <button
              type="button"
              className={`${badge} badge-button`}
              aria-expanded={isOpen}
              aria-controls={notesId}
              onClick={onToggle}
              title="Why?"
            >
              {status.name}
              <svg viewBox="0 0 10 10" aria-hidden="true">
                <path d="M2 3.5 5 6.5 8 3.5" />
              </svg>
            </button>
          ) : (
            <span className={badge} title={status.meaning}>
              {status.name}
            </span>
          )}
        </td>
      </tr>
      {isOpen && (
        <tr className="notes-row" id={notesId}>
          <td colSpan={5}>
            <Notes one={one} />
          </td>
        </tr>
      )}
    </Fragment>
  );
}

function Notes({ one }: { one: Submission }) {
  return (
    <div className="notes" data-testid="notes">
      {one.original && (
        <p>
          Copy of {uidName(one.original.uid)}, {one.original.hf_repo}
          {one.original.block !== null && `, revealed at block ${count(one.original.block)}`}.
        </p>
      )}
      <ul>
        {one.notes.map((note) => (
          <li key={`${note.code} ${note.path} ${note.message}`}>
            <p className="note-message">{note.message}</p>
            <p className="note-code">
              {note.code}
              {note.path && ` in ${note.path}`}
            </p>
            {note.hint && <p className="note-hint">{note.hint}</p>}
          </li>
        ))}
      </ul>
    </div>
  );
}
