import { expect, it } from 'vitest';
import { scripted } from '../testing/checkpoint.ts';
import { ModelShelf } from './model-shelf.ts';

const kingOf = (uid: number) => ({
  uid,
  repo: `team/${uid}`,
  revision: `${uid}`.repeat(40),
  crownedAtBlock: 100 + uid,
});

it('has nothing to lend at first, and says which nothing', () => {
  const shelf = new ModelShelf();
  expect(shelf.list()).toEqual([]);
  expect(() => shelf.borrow('king')).toThrow(
    expect.objectContaining({
      status: 503,
      detail: expect.objectContaining({ code: 'no_king_yet', shouldRetry: false }),
    }),
  );
  expect(() => shelf.borrow('base')).toThrow(expect.objectContaining({ status: 404 }));
  shelf.kingIsLoading = true;
  shelf.baseIsLoading = true;
  for (const id of ['king', 'base'])
    expect(() => shelf.borrow(id)).toThrow(
      expect.objectContaining({ detail: expect.objectContaining({ code: 'model_loading' }) }),
    );
});

it('lends the reigning king under two names and forgets the one before', () => {
  const shelf = new ModelShelf();
  const [first, second] = [scripted('1'), scripted('2')];
  shelf.putKing(first, kingOf(1));
  expect(shelf.list().map((card) => card.id)).toEqual(['king', `king@${'1'.repeat(40)}`]);
  expect(shelf.borrow(`king@${'1'.repeat(40)}`).engine).toBe(first);
  shelf.putKing(second, kingOf(2));
  expect(shelf.borrow('king').engine).toBe(second);
  expect(() => shelf.borrow(`king@${'1'.repeat(40)}`)).toThrow(/no longer reigns/);
});

it('frees a replaced engine only when its last loan is back', () => {
  const shelf = new ModelShelf();
  const old = scripted('old');
  shelf.putKing(old, kingOf(1));
  const loans = [shelf.borrow('king'), shelf.borrow('king')];
  shelf.putKing(scripted('new'), kingOf(2));
  loans[0]?.release();
  loans[0]?.release(); // a second release of the same loan does not count
  expect(old.isDisposed).toBe(false);
  loans[1]?.release();
  expect(old.isDisposed).toBe(true);
});

it('frees everything at the end', () => {
  const shelf = new ModelShelf();
  const [king, base] = [scripted('k'), scripted('b')];
  shelf.putKing(king, kingOf(1));
  shelf.putBase(base);
  shelf.close();
  expect([king.isDisposed, base.isDisposed]).toEqual([true, true]);
});

it('lends models of the server by their names', () => {
  const shelf = new ModelShelf();
  const [mine, newer] = [scripted('mine'), scripted('newer')];
  shelf.putOwn('mine', mine);
  expect(shelf.list().map((card) => card.id)).toEqual(['mine']);
  expect(shelf.borrow('mine')).toMatchObject({ engine: mine, id: 'mine', king: null, fingerprint: 'quasar-mine' });
  expect(() => shelf.borrow('base')).toThrow(/Loaded: `mine`/);
  shelf.putOwn('mine', newer);
  shelf.close();
  expect([mine.isDisposed, newer.isDisposed]).toEqual([false, true]);
});
