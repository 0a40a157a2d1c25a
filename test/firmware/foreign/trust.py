"""python-tuf and securesystemslib, asked by one JSON document on stdin; the answer is one on stdout."""

import base64
import json
import sys
from datetime import datetime, timezone

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.dsse import Envelope
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType


def text(data):
    return base64.b64encode(data).decode()


def make_roots(_):
    """Root 1: two of three sign; root 2 takes one out and one in. One of two signs releases."""
    keys = [CryptoSigner.generate_ed25519(), CryptoSigner.generate_ecdsa(), CryptoSigner.generate_ed25519()]
    release = [CryptoSigner.generate_ecdsa(), CryptoSigner.generate_ed25519()]
    root = Root(expires=datetime(2031, 1, 2, 3, 4, 5, tzinfo=timezone.utc))
    for key in keys:
        root.add_key(key.public_key, "root")
    for key in release:
        root.add_key(key.public_key, "targets")
    root.roles["root"].threshold = 2
    root.roles["targets"].threshold = 2
    files = []
    for version, signers in ((1, keys[:2]), (2, keys)):
        root.version = version
        if version == 2:
            new = CryptoSigner.generate_ecdsa()
            root.revoke_key(keys[0].public_key.keyid, "root")
            root.add_key(new.public_key, "root")
            signers = [*keys[:2], new]
        metadata = Metadata(root)
        for signer in signers:
            metadata.sign(signer, append=True)
        files.append(text(metadata.to_bytes()))
    return {
        "roots": files,
        "rootKeys": sorted(root.roles["root"].keyids),
        "releaseKeys": [key.public_key.keyid for key in release],
        "releasePems": [key.private_bytes.decode() for key in release],
    }


def walk_roots(order):
    """What ngclient says of a chain: the version that it trusts in the end, or the error."""
    files = [base64.b64decode(one) for one in order["roots"]]
    try:
        trusted = TrustedMetadataSet(files[0], EnvelopeType.METADATA)
        for data in files[1:]:
            previous = trusted.root
            trusted.update_root(data)
            metadata = Metadata.from_bytes(data)
            previous.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
        return {"version": trusted.root.version, "keyids": sorted(trusted.root.roles["root"].keyids)}
    except Exception as error:  # the test compares verdicts
        return {"error": type(error).__name__}


def sign_envelope(order):
    envelope = Envelope(base64.b64decode(order["payload"]), "application/vnd.in-toto+json", {})
    for pem in order["pems"]:
        envelope.sign(CryptoSigner(load_pem_private_key(pem.encode(), None)))
    return envelope.to_dict()


def check_envelope(order):
    root = Metadata.from_bytes(base64.b64decode(order["root"])).signed
    role = root.roles["targets"]
    try:
        accepted = Envelope.from_dict(order["envelope"]).verify([root.keys[one] for one in role.keyids], role.threshold)
        return {"keyids": sorted(accepted)}
    except Exception as error:
        return {"error": type(error).__name__}


def key_ids(order):
    return [CryptoSigner(load_pem_private_key(pem.encode(), None)).public_key.keyid for pem in order["pems"]]


def canonical(order):
    return [text(encode_canonical(json.loads(one)).encode()) for one in order["texts"]]


DO = {
    "make-roots": make_roots,
    "walk-roots": lambda order: [walk_roots({"roots": one}) for one in order["chains"]],
    "sign-envelope": sign_envelope,
    "check-envelopes": lambda order: [check_envelope({"root": order["root"], "envelope": one}) for one in order["envelopes"]],
    "key-ids": key_ids,
    "canonical": canonical,
}
request = json.load(sys.stdin)
json.dump(DO[request["do"]](request), sys.stdout)
