"""Yuma consensus 2 and 3 over several epochs of random subnets, in float64 with numpy on whole matrices.

    python tests/oracles/yuma.py [COUNT] [--reals]     prints the results of the subnets 0 … COUNT - 1 (20)

Written from the formulas, not from our TypeScript: the median is a sorted cumulative sum, masks are broadcast. Numbers between
two steps are cut to 32 fraction bits, as the chain keeps them, because that shows in u16: a stake of 3.7 units of 2^-32 becomes
3, and a column of bonds that only such stakes hold is shared differently; two parts of the stake tie at kappa or miss it by the
last bit; and what one epoch stores is where the next begins. `--reals` leaves the cutting out: of a thousand subnets 184 then
have a number that is off by more than a unit, 0.4 % of all numbers.
"""
import json
import math
import sys
import zlib

import numpy as np

MODULUS = 2**31 - 1
BITS = 2.0**32
U16 = 65535
EPOCH_BLOCKS = 360
REALS = "--reals" in sys.argv


def cut(x):
    """The share as the chain keeps it. Float64 errs by some 2^-53, so this is the true cut but for one in millions."""
    return x if REALS else np.floor(x * BITS) / BITS


def u16(x):
    return np.clip(np.floor(x * U16 + (1e-9 if REALS else 0)), 0, U16).astype(int)


class Draws:
    """Whole numbers that depend on the name alone (Park and Miller's generator)."""

    def __init__(self, name):
        self.state = zlib.crc32(name.encode()) % (MODULUS - 1) + 1

    def below(self, n):
        self.state = self.state * 48271 % MODULUS
        return math.floor(n * (self.state / MODULUS))

    def one_of(self, choices):
        return choices[self.below(len(choices))]


def subnet(k):
    """Everything of subnet k that stays over its epochs."""
    draws = Draws(f"yuma {k}")
    n = 256 if k % 100 == 99 else 1 + draws.below(64)
    stakes = draws.one_of(["equal", "uniform", "magnitudes", "two"])

    def stake():
        if draws.below(3) == 0 and n > 2:
            return 0
        if stakes == "equal":
            return 10**12
        if stakes == "two":
            return draws.one_of([10**12, 2 * 10**12])
        mantissa = 1 + draws.below(2**20)
        return mantissa * 2**30 if stakes == "uniform" else mantissa * 2 ** draws.below(33)

    amounts = [stake() for _ in range(n)]
    rare = lambda: draws.below(20) == 0
    return dict(
        n=n,
        stake=amounts,
        permits=[s > 0 and not rare() for s in amounts],
        registered=[10_000 - draws.below(800) if rare() else 1 for _ in range(n)],
        age=[6000 if rare() else draws.below(800) for _ in range(n)],
        commit=[10_000 - draws.below(800) if rare() else None for _ in range(n)],
        owner=draws.below(n) if draws.below(2) == 0 else None,
        kappa=draws.one_of([32767, 32767, 32767, 16000, 49151, 65535, 0]),
        penalty=draws.one_of([65535, 65535, 0, 32768]),
        moving_average=draws.one_of([900_000, 900_000, 975_000, 500_000, 0, 1_000_000]),
        max_validators=draws.one_of([1, 4, 64, 256]),
        version=2 + draws.below(2),
        epochs=2 + draws.below(4),
    )


def stored_weights(k, epoch, n):
    """u16 rows as matrix: contests for one king, sparse and dense opinions, silence."""
    draws = Draws(f"yuma {k} epoch {epoch}")
    king = draws.below(n)
    agreement = draws.one_of([1, 2, 8])
    weights = np.zeros((n, n))
    for i in range(n):
        style = draws.one_of(["king", "king", "sparse", "dense", "none"])
        if style == "king":
            weights[i, king if draws.below(agreement) == 0 else draws.below(n)] = U16
        elif style == "sparse":
            for _ in range(1 + draws.below(4)):
                j = draws.below(n)
                weights[i, j] = draws.below(65536)
        elif style == "dense":
            for j in range(n):
                weights[i, j] = draws.below(65536)
    return weights


def parts(x, axis=None):
    """x over its sum along the axis, 0 where that is 0."""
    total = x.sum(axis=axis, keepdims=axis is not None)
    return cut(np.divide(x, total, out=np.zeros_like(x), where=total != 0))


def median(stake, scores, kappa):
    """For every column the smallest score at and below which there is more than 1 - kappa of the stake, else the largest."""
    rows = stake > 0
    if not rows.any():
        return np.zeros(scores.shape[1])
    share, scores = parts(stake[rows]), scores[rows]
    order = np.argsort(scores, axis=0, kind="stable")
    reached = np.cumsum(share[order], axis=0) > share.sum() - kappa + (1e-12 if REALS else 0)
    reached[-1] = True
    return np.take_along_axis(scores, np.take_along_axis(order, reached.argmax(axis=0)[None], axis=0), axis=0)[0]


def epoch(s, block, last_epoch, weights, bonds, permits):
    n, owner = s["n"], s["owner"]
    uids = np.arange(n)
    total = sum(s["stake"])
    stake = cut(np.array([x / total for x in s["stake"]])) if total else np.zeros(n)
    updated = block - np.array(s["age"])
    registered = np.array(s["registered"])
    active = updated + 5000 >= block
    permits = permits | (uids == owner)
    active_stake = parts(stake * active * permits)

    committed = np.array([math.inf if c is None else c for c in s["commit"]])
    allowed = permits[:, None] & (updated[:, None] > registered) & (committed[:, None] >= registered)
    allowed &= (uids[:, None] != uids) | (uids == owner)
    weights = parts(np.where(allowed, weights, 0), axis=1)

    consensus = median(active_stake, weights, cut(np.float64(s["kappa"] / U16)))
    clipped = np.minimum(weights, consensus)
    incentive = parts(cut(active_stake[:, None] * clipped).sum(axis=0))

    penalty = cut(np.float64(s["penalty"] / U16))
    for_bonds = weights + cut(penalty * (clipped - weights))
    fresh = registered >= (last_epoch + 1 if last_epoch else max(0, block - EPOCH_BLOCKS))
    bonds = np.where(fresh, 0.0, bonds)
    alpha = 1 - cut(np.float64(s["moving_average"] / 1_000_000))
    mix = lambda now, before: cut(alpha * now) + cut((1 - alpha) * before)
    if s["version"] == 3:
        bonds = mix(for_bonds, cut(bonds / U16))
        paid = cut(parts(bonds, axis=0) * incentive).sum(axis=1)
        dividends = parts(cut(paid * active_stake))
    else:
        now = parts(cut(for_bonds * active_stake[:, None]), axis=0)
        bonds = parts(mix(now, parts(bonds, axis=0)), axis=0)
        dividends = parts(cut(bonds * incentive).sum(axis=1))
        peak = bonds.max(axis=0)
        bonds = cut(np.divide(bonds, peak, out=np.zeros_like(bonds), where=peak != 0))

    top = sorted(range(n), key=lambda uid: (stake[uid], uid))[max(0, n - s["max_validators"]):]
    permits = np.array([uid == owner or (stake[uid] > 0 and uid in set(top)) for uid in range(n)])
    both = incentive + dividends
    validating, mining = parts_of(dividends, both.sum()), parts_of(incentive, both.sum())
    if both.sum() == 0:
        validating = active_stake if active_stake.sum() > 0 else stake
    return dict(
        consensus=u16(consensus),
        trust=u16(clipped.sum(axis=1)),
        incentive=u16(incentive),
        dividends=u16(dividends),
        mining=u16(mining),
        validating=u16(validating),
        bonds=np.where(permits[:, None], u16(bonds), 0),
        permits=permits,
    )


def parts_of(x, total):
    return cut(x / total) if total else x


def results(k):
    """One list per epoch and vector, and the bonds of the last epoch."""
    s = subnet(k)
    bonds, permits, last = np.zeros((s["n"], s["n"])), np.array(s["permits"]), 0
    printed = {}
    for e in range(s["epochs"]):
        block = 10_000 + e * EPOCH_BLOCKS
        out = epoch(s, block, last, stored_weights(k, e, s["n"]), bonds, permits)
        bonds, permits, last = out["bonds"], out["permits"], block
        for name in ("consensus", "trust", "incentive", "dividends", "mining", "validating"):
            printed[f"{name} {e}"] = out[name].tolist()
        printed[f"permits {e}"] = permits.astype(int).tolist()
    printed["bonds"] = bonds.flatten().tolist()
    return printed


if __name__ == "__main__":
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    json.dump({str(k): results(k) for k in range(*(numbers or [20]))}, sys.stdout, separators=(",", ":"))
    print()
