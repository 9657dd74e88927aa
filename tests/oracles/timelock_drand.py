"""Timelock encryption of Bittensor's own library both ways, its reveal rounds, and SCALE bytes of `scalecodec`.

Needs a built repository: our ciphertexts come from its `dist`, made with counted-up bytes as randomness.
"""

import hashlib
import json
import subprocess
import time
from pathlib import Path

import bittensor_drand
from scalecodec.base import RuntimeConfiguration, ScaleBytes
from scalecodec.type_registry import load_type_registry_preset

ROUND = 1000
# Published by drand for round 1000 of quicknet.
SIGNATURE = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
PAYLOADS = [b"", b"x", "the payload of a commit: Ää".encode(), bytes(range(256))]

SCALE = RuntimeConfiguration()
for preset in ["core", "legacy"]:
    SCALE.update_type_registry(load_type_registry_preset(preset))
SCALE.update_type_registry({"types": {"UserData": {"type": "struct", "type_mapping": [["encrypted", "Bytes"], ["round", "u64"]]}}})


def scale(kind, value):
    return SCALE.create_scale_object(kind).encode(value).to_hex()[2:]


def theirs(payload):
    wrapped, _ = bittensor_drand.encrypt_at_round(payload, ROUND)
    data = SCALE.create_scale_object("UserData", ScaleBytes(wrapped)).decode()
    return {"payload": payload.hex(), "ciphertext": data["encrypted"].removeprefix("0x")}


OURS = """
const { timelockEncrypt } = await import(process.argv[1]);
const bytes = process.argv.slice(3).map((hex) => {
  let next = 0;
  const random = (length) => Uint8Array.from({ length }, () => ++next & 0xff);
  return timelockEncrypt(Buffer.from(hex, 'hex'), Number(process.argv[2]), { random });
});
console.log(JSON.stringify(bytes.map((each) => Buffer.from(each).toString('hex'))));
"""


def ours():
    module = Path(__file__).parents[2] / "packages/chain/dist/timelock/index.js"
    command = ["node", "--input-type=module", "-e", OURS, str(module), str(ROUND), *[p.hex() for p in PAYLOADS]]
    made = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    out = []
    for ciphertext in made:
        wrapped = SCALE.create_scale_object("UserData").encode({"encrypted": "0x" + ciphertext, "round": ROUND})
        opened = bittensor_drand.decrypt_with_signature(bytes(wrapped.data), SIGNATURE)
        out.append({"payload": opened.hex(), "ciphertext": ciphertext})
    return out


def now_ms():
    return int(time.time() * 1000)


def weight_rounds():
    """Head block, schedule and reveal period, with the round chosen between two readings of the clock."""
    out = []
    for head, last, pending, tempo, period, block_ms in [
        (120, 100, 0, 50, 1, 12000),
        (149, 100, 0, 50, 1, 12000),
        (150, 150, 0, 50, 1, 12000),
        (91, 80, 95, 20, 1, 12000),
        (91, 80, 95, 20, 3, 12000),
        (94, 80, 95, 20, 1, 12000),
        (5000000, 4999990, 0, 360, 2, 12000),
        (5000000, 4999990, 0, 99, 5, 1000),
        (10, 10, 0, 1, 1, 250),
    ]:
        before = now_ms()
        _, chosen = bittensor_drand.get_encrypted_commit_v2(
            [1], [65535], 0, last, pending, 0, tempo, head - last, head, period, block_ms / 1000, bytes(32)
        )
        out.append(
            {
                "head": head,
                "nextEpochBlock": pending or last + tempo,
                "tempo": tempo,
                "revealPeriodEpochs": period,
                "blockTimeMs": block_ms,
                "fromMs": before,
                "toMs": now_ms(),
                "round": chosen,
            }
        )
    return out


def commitments():
    out = []
    for text, blocks in [("a", 1), ("naïve", 100), ("q" * 700, 7200)]:
        before = now_ms()
        ciphertext, chosen = bittensor_drand.get_encrypted_commitment(text, blocks, 12.0)
        times = {"fromMs": before, "toMs": now_ms()}
        out.append({"text": text, "blocks": blocks, "bytes": len(ciphertext), "round": chosen, **times})
    return out


def scale_bytes():
    key = "0x" + bytes(range(32)).hex()
    weights = (key, 4120, [0, 300], [65535, 1], [7, 65535, 0], 2**53 - 1)
    compact = [0, 1, 63, 64, 16383, 16384, 2**30 - 1, 2**30, 2**32, 2**40 - 1, 2**40, 2**64 - 1, 2**64, 2**128 - 1]
    revealed = scale("(AccountId,u16,Vec<u16>,Vec<u16>,Vec<u16>,u64)", weights)
    row = [0, 300], [65535, 1], 2**53 - 1
    return {
        "compact": {str(value): scale("Compact<u128>", value) for value in compact},
        "texts": {text: scale("String", text) for text in ["", "Ää", "🪐", "x" * 64]},
        "named": scale("(Bytes,Vec<u16>,Vec<u16>,u64)", (key, *row)),
        "unnamed": scale("(Vec<u16>,Vec<u16>,u64)", row),
        "commitHash": hashlib.blake2b(bytes.fromhex(revealed), digest_size=32).hexdigest(),
    }


def main():
    out = {
        "round": ROUND,
        "signature": SIGNATURE,
        "theirs": [theirs(payload) for payload in PAYLOADS],
        "ours": ours(),
        "weightRounds": weight_rounds(),
        "commitments": commitments(),
        "scale": scale_bytes(),
    }
    print(json.dumps(out, indent=1, ensure_ascii=False))


main()
