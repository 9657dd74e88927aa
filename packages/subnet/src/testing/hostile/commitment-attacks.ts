/** @file Attacks by what is put on chain, and by what happens to the repository afterwards. */
import type { Attack } from './attack.ts';

const SHA = 'c0ffee'.repeat(7).slice(0, 40);

const refused = (
  name: string,
  tries: string,
  code: string,
  commitment: (repo: string, revision: string) => string,
): Attack => ({
  name,
  tries,
  label: 'INVALID',
  code: `commitment.${code}`,
  commitment,
});

const withKey = (more: object) => (model: string, revision: string) => JSON.stringify({ model, revision, ...more });

export const COMMITMENTS: Attack[] = [
  refused(
    'block in the JSON',
    'an earlier block than the chain says: the copy looks like the original (a real incident)',
    'unknown_key',
    withKey({ block: 1 }),
  ),
  refused(
    'hotkey in the JSON',
    'the submission of somebody else',
    'unknown_key',
    withKey({ hotkey: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY' }),
  ),
  refused('uid in the JSON', 'the place of somebody else', 'unknown_key', withKey({ uid: 0 })),
  refused(
    'key __proto__',
    'changes the prototype of the payload',
    'unknown_key',
    (model, revision) => `{"__proto__":{"block":1},"model":"${model}","revision":"${revision}"}`,
  ),
  refused(
    'model twice',
    'two readers, two models',
    'malformed',
    (model, revision) => `{"model":"victim/model","model":"${model}","revision":"${revision}"}`,
  ),
  refused(
    'revision twice',
    'two readers, two revisions',
    'malformed',
    (model, revision) => `{"model":"${model}","revision":"${SHA}","revision":"${revision}"}`,
  ),
  refused(
    'escaped key',
    'a key that only looks different',
    'malformed',
    (model, revision) => `{"\\u006dodel":"${model}","revision":"${revision}"}`,
  ),
  refused(
    'escaped value',
    'a name that only looks different',
    'malformed',
    (model, revision) => `{"model":"${model.replace('/', '\\/')}","revision":"${revision}"}`,
  ),
  refused(
    'branch',
    'a name that can move: judged today, changed tomorrow',
    'bad_revision',
    (model) => `{"model":"${model}","revision":"main"}`,
  ),
  refused('tag', 'a name that can move', 'bad_revision', (model) => `{"model":"${model}","revision":"refs/tags/v1"}`),
  refused(
    'short id',
    'stands for whatever begins so',
    'bad_revision',
    (model, revision) => `{"model":"${model}","revision":"${revision.slice(0, 8)}"}`,
  ),
  refused(
    'upper-case id',
    'the same revision to some, another to others',
    'bad_revision',
    (model, revision) => `{"model":"${model}","revision":"${revision.toUpperCase().replace(/^\d*$/, 'A')}"}`,
  ),
  refused(
    'id of 64 digits',
    'another kind of hash',
    'bad_revision',
    (model) => `{"model":"${model}","revision":"${'a'.repeat(64)}"}`,
  ),
  refused('no revision', 'the newest, whatever it is', 'bad_revision', (model) => `{"model":"${model}"}`),
  refused('revision as a number', 'another type', 'malformed', (model) => `{"model":"${model}","revision":1e39}`),
  refused(
    'URL for a name',
    'another server',
    'bad_repo',
    (_, revision) => `{"model":"https://evil.example/m","revision":"${revision}"}`,
  ),
  refused(
    'path for a name',
    'a file of the validator',
    'bad_repo',
    (_, revision) => `{"model":"../../etc/passwd","revision":"${revision}"}`,
  ),
  refused(
    'query in a name',
    'another address at the hub',
    'bad_repo',
    (_, revision) => `{"model":"a/b?x=1","revision":"${revision}"}`,
  ),
  refused(
    'user in a name',
    'credentials for another host',
    'bad_repo',
    (_, revision) => `{"model":"a@evil/b","revision":"${revision}"}`,
  ),
  refused(
    'data set for a model',
    'another kind of repository',
    'bad_repo',
    (_, revision) => `{"model":"datasets/a/b","revision":"${revision}"}`,
  ),
  refused(
    'look-alike name',
    'a Cyrillic letter in the name of a known owner',
    'bad_repo',
    (_, revision) => `{"model":"viсtim/model","revision":"${revision}"}`,
  ),
  refused('bad manifest', 'a digest that is none', 'bad_manifest', withKey({ manifest: 'sha256:0' })),
  refused('not JSON', 'noise on chain', 'malformed', () => 'v7|victim/model|sha256'),
  refused('a list', 'another JSON value', 'malformed', () => '[{"model":"a/b"}]'),
  refused('depth of 400', 'overflows the stack of a parser', 'malformed', () => '['.repeat(400)),
  refused('600 bytes', 'fills the log of every validator', 'too_large', withKey({ note: 'x'.repeat(600) })),
  {
    name: 'manifest of other files',
    tries: 'files exchanged after the commitment',
    label: 'INVALID',
    code: 'precheck.manifest_mismatch',
    commitment: (model, revision) => JSON.stringify({ model, revision, manifest: 'd'.repeat(64) }),
  },
];

export const REPOSITORIES: Attack[] = [
  {
    name: 'revision of somebody else',
    tries: 'commits the very repository and revision of an earlier submission (a real incident)',
    label: 'COPY',
    code: 'copy.same_revision',
    commitment: (_repo, _revision, victim) => JSON.stringify({ model: 'victim/model', revision: victim }),
  },
  {
    name: 'repository that never was',
    tries: 'a place in the queue for nothing',
    label: 'REMOVED',
    code: 'precheck.revision_missing',
    commitment: (_, revision) => JSON.stringify({ model: 'nobody/nothing', revision }),
  },
  {
    name: 'revision that never was',
    tries: 'a commitment to what will be uploaded later',
    label: 'REMOVED',
    code: 'precheck.revision_missing',
    commitment: (model) => JSON.stringify({ model, revision: SHA }),
  },
  {
    name: 'deleted after the commitment',
    tries: 'nobody can check what won',
    label: 'REMOVED',
    code: 'precheck.revision_missing',
    later: 'deleted',
  },
  {
    name: 'private after the commitment',
    tries: 'nobody can check what won',
    label: 'REMOVED',
    code: 'precheck.revision_missing',
    later: 'private',
  },
  {
    name: 'files exchanged after the commitment',
    tries: 'another model under the same branch: the committed revision stays what it was',
    label: 'judged',
    code: null,
    later: 'moved on',
  },
  {
    name: 'committed again',
    tries: 'the weights that just lost in a new revision, for an evaluation with new luck (a real incident)',
    label: 'COPY',
    code: 'copy.same_content',
    again: 'new revision',
  },
  {
    name: 'the same revision again',
    tries: 'another evaluation of what has just lost, for nothing but a commitment (a real incident)',
    label: 'COPY',
    code: 'copy.same_content',
    again: 'same revision',
  },
  {
    name: 'committed eight times',
    tries: 're-commit spam, up to what the chain has room for: only the newest has a place in the queue',
    label: 'judged',
    code: null,
    times: 8,
  },
  {
    name: 'earlier slot, filled later',
    tries:
      'commits before the victim, then puts its files into that repository, to make the victim look like the copy (a real incident)',
    label: 'judged',
    code: null,
    early: true,
    later: 'moved on',
  },
];
