"""Key files of the reference wallet package, for packages/chain to open, and the other way round.

    python bittensor_wallets.py write FOLDER      makes the files and the vectors the tests read
    python bittensor_wallets.py check FOLDER      opens the wallets that our code made in FOLDER (their names, passwords and
                                                  addresses in FOLDER/expected.json); ends with 1 when one differs

The keys are for tests: Substrate's public development phrase, and seeds that are hashes of short texts."""

import base64
import hashlib
import json
import sys
from pathlib import Path

import nacl.pwhash.argon2i as argon2i
from bittensor_wallet import Keyfile, Keypair, Wallet, keyfile

PHRASE = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
PASSWORD = "correct horse battery staple"
MESSAGE = b"quasar"


def seed(text):
    return hashlib.sha256(text.encode()).hexdigest()


def box_key(password):
    """libsodium's own, so that tests can open a box without the seconds."""
    salt = bytes.fromhex("137183dff15a09bc9c90b5518739e9b1")
    limits = {"opslimit": argon2i.OPSLIMIT_SENSITIVE, "memlimit": argon2i.MEMLIMIT_SENSITIVE}
    return argon2i.kdf(32, password.encode(), salt, **limits).hex()


def fernet(data, password):
    """As the wallet package encrypted before its version 5; the present one cannot."""
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    salt = b"Iguesscyborgslikemyselfhaveatendencytobeparanoidaboutourorigins"
    key = PBKDF2HMAC(algorithm=SHA256(), length=32, salt=salt, iterations=10_000_000).derive(password.encode())
    return Fernet(base64.urlsafe_b64encode(key)).encrypt(data)


def write(folder):
    quiet = {"use_password": False, "overwrite": True, "suppress": True}
    wallet = Wallet(name="reference", hotkey="phrase", path=str(folder))
    wallet.regenerate_hotkey(mnemonic=PHRASE, **quiet)
    wallet.regenerate_coldkey(mnemonic=PHRASE, **quiet)
    Wallet(name="reference", hotkey="seed", path=str(folder)).regenerate_hotkey(seed=seed("seed"), **quiet)
    Wallet(name="reference", hotkey="private", path=str(folder)).create_hotkey_from_uri("//Alice", **quiet)

    coldkey = folder / "reference" / "coldkey"
    plain = coldkey.read_bytes()
    coldkey.write_bytes(keyfile.encrypt_keyfile_data(plain, PASSWORD))
    for name, data in {
        "ansible": keyfile.legacy_encrypt_keyfile_data(plain, PASSWORD),
        "fernet": fernet(plain, PASSWORD),
    }.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "coldkey").write_bytes(data)

    pairs = {uri: Keypair.create_from_uri(uri) for uri in [
        PHRASE,
        "//Alice",
        "//Bob//stash",
        "//Alice/soft/2",
        f"{PHRASE}//1//two/3",
        f"{PHRASE}///password",
        f"{PHRASE}//hard///password",
        f"0x{seed('uri')}//18446744073709551615/18446744073709551616",
        f"//{'long' * 20}",
        "//ÄÖ/ü",
    ]}
    phrases = [Keypair.create_from_mnemonic(Keypair.generate_mnemonic(words)) for words in [12, 15, 18, 21, 24]]
    vectors = {
        "password": PASSWORD,
        "boxKey": box_key(PASSWORD),
        "phrase": PHRASE,
        "address": Keypair.create_from_mnemonic(PHRASE).ss58_address,
        "seedAddress": Keypair.create_from_seed(seed("seed")).ss58_address,
        "message": MESSAGE.decode(),
        "uris": [{"uri": uri, "address": pair.ss58_address, "signature": pair.sign(MESSAGE).hex()}
                 for uri, pair in pairs.items()],
        "phrases": [{"file": json.loads(keyfile.serialized_keypair_to_keyfile_data(pair))} for pair in phrases],
    }
    (folder / "vectors.json").write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")


def check(folder):
    for entry in json.loads((folder / "expected.json").read_text()):
        pair = Keyfile(str(folder / entry["path"])).get_keypair(entry.get("password"))
        assert pair.ss58_address == entry["address"], entry["path"]
        if "signature" in entry:
            assert pair.verify(MESSAGE, bytes.fromhex(entry["signature"])), entry["path"]
            assert Keypair(ss58_address=entry["address"]).verify(MESSAGE, pair.sign(MESSAGE)), entry["path"]
        print(f"{entry['path']}: {pair.ss58_address}")


{"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2]))
