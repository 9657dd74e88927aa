/** @file A contestant's number, the same everywhere. */
export function Uid({ uid, side }: { uid: number; side?: 'king' | 'challenger' | undefined }) {
  return (
    <span className={`uid${side ? ` uid-${side}` : ''}`}>{uid === -2 ? 'teacher' : uid === -1 ? 'base' : uid}</span>
  );
}
