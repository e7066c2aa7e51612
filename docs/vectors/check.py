#!/usr/bin/env python3
"""Checks the golden vectors of protocol once/2 without any engine code.

Every vector is decoded with cbor2, read by the tables below (a second writing of docs/protocol.cddl), and compared with
the value that it describes; hashes, signatures, verdicts and comparisons are computed anew. Prints `vectors N, differ D`
and exits with 1 if any differ. `--verbose` names each vector.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys
import urllib.parse
import uuid

sys.dont_write_bytecode = True  # leave nothing behind in the repository
from pure import blake3, derive_key, sign, verifies  # noqa: E402

try:
    import cbor2
except ImportError:
    sys.exit("check.py needs the Python package cbor2\nhint: pip install cbor2, or apt install python3-cbor2")


class Bad(Exception):
    """What was read is not what the protocol says."""


def need(condition, reason):
    if not condition:
        raise Bad(reason)


# --- Types: a function each, from what cbor2 read to what a vector describes -------------------------------------------

def uint(bits):
    def read(value):
        need(type(value) is int and 0 <= value < 1 << bits, f"not a number of {bits} bits: {value!r}")
        return value
    return read


def blob(length=None):
    def read(value):
        need(isinstance(value, bytes) and length in (None, len(value)), f"not {length or 'some'} bytes: {value!r}")
        return f"h'{value.hex()}'"
    return read


def uuid_text(value):
    need(isinstance(value, bytes) and len(value) == 16, f"not a UUID: {value!r}")
    return str(uuid.UUID(bytes=value))


def text(value):
    need(isinstance(value, str), f"not a text: {value!r}")
    return value


def flag(value):
    need(isinstance(value, bool), f"not a truth value: {value!r}")
    return value


def each(of):
    def read(value):
        need(isinstance(value, (list, tuple)), f"not an array: {value!r}")
        return [of(item) for item in value]
    return read


def one_of(*names):
    def read(value):
        need(type(value) is int and 0 <= value < len(names), f"none of {len(names)} values: {value!r}")
        return names[value]
    return read


def choice(**cases):
    """An array of a number and the array of what the case holds."""
    def read(value):
        need(isinstance(value, (list, tuple)) and len(value) == 2, f"not a choice: {value!r}")
        number, payload = value
        need(type(number) is int and isinstance(payload, (list, tuple)), f"not a choice: {value!r}")
        for name, (case, of) in ((name.replace("_", "-"), case) for name, case in cases.items()):
            if case == number and of is None:
                return name
            if case == number:
                need(payload, f"nothing in {name}")
                return {name: of(payload[0])}
        return {f"?{number}": [anything(item) for item in payload]}
    return read


def known(of):
    """A choice in which unknown numbers are no good."""
    def read(value):
        found = of(value)
        need(isinstance(found, str) or not next(iter(found)).startswith("?"), f"unknown: {found!r}")
        return found
    return read


def record(*fields):
    """A map with small numbers as keys. A name with `?` may be absent."""
    def read(value):
        need(isinstance(value, dict), f"not a map: {value!r}")
        need(all(type(key) is int for key in value), f"a key that is no number: {value!r}")
        found = {}
        for key, (name, of) in enumerate(fields):
            if value.get(key) is not None:
                found[name.rstrip("?")] = of(value[key])
            else:
                need(name.endswith("?"), f"{name} is missing")
        found.update((f"?{key}", anything(item)) for key, item in value.items() if not 0 <= key < len(fields))
        return found
    return read


def pair(first, second):
    """An array of two named values."""
    def read(value):
        need(isinstance(value, (list, tuple)) and len(value) >= 2, f"not a pair: {value!r}")
        return {first[0]: first[1](value[0]), second[0]: second[1](value[1])}
    return read


def anything(value):
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, dict):
        return {str(key): anything(item) for key, item in value.items()}
    return [anything(item) for item in value] if isinstance(value, (list, tuple)) else value


# --- docs/protocol.cddl ------------------------------------------------------------------------------------------------

U64, HASH, KERNEL, BYTES16 = uint(64), blob(32), blob(32), blob(16)
CODE = one_of("denied", "quota", "busy", "disk-full", "invalid", "too-large", "ambiguous", "unsupported", "stopping",
              "not-home", "expired", "id-reused", "no-component", "cancelled", "lacking", "quarantined", "withdrawn")
LINE = known(choice(unclaimed=(0, HASH), claimed=(1, HASH)))
KEY = pair(("uuid", uuid_text), ("line", LINE))
PROGRESS = record(("incarnation", BYTES16), ("boot", U64), ("id", BYTES16), ("commit", U64), ("signature", blob(64)))
GREETING = record(
    ("features", each(uint(32))), ("critical", each(uint(32))), ("progress", PROGRESS), ("seen", each(PROGRESS)),
    ("frame_max_bytes", U64), ("scenario_max_bytes", U64), ("window_shares", uint(32)), ("name", text), ("clock_ms", U64),
    ("invite?", BYTES16), ("heard?", U64))
CAUSE = record(("origin", KERNEL), ("incarnation", BYTES16), ("sequence", U64), ("id", uuid_text), ("acting?", KEY))
HEADER = record(
    ("uuid", uuid_text), ("lineage?", HASH), ("epoch", U64), ("revision", U64), ("certificate?", HASH), ("parent?", HASH),
    ("content", HASH), ("size", U64), ("tombstone", flag), ("component", text), ("version", text), ("cause?", CAUSE),
    ("signature?", blob(64)), ("entry?", HASH))
GENESIS = record(("uuid", uuid_text), ("home", KERNEL), ("recovery", each(KERNEL)), ("content", HASH), ("nonce", BYTES16),
                 ("incarnation", BYTES16))
HANDOFF_ANSWER = record(("certificate", HASH), ("accepted", flag), ("incarnation", BYTES16), ("signature", blob(64)))
NAMING = record(("lineage", HASH), ("certificate", HASH), ("standby", KERNEL), ("signature", blob(64)))
TIP = record(("number", U64), ("hash", HASH))
CERTIFICATE = record(
    ("lineage", HASH), ("epoch", U64), ("kind", one_of("handoff", "reopen", "adopt", "reinstate", "promote")), ("home", KERNEL),
    ("incarnation", BYTES16), ("base", HASH), ("base_revision", U64), ("base_id", HASH), ("signer", KERNEL),
    ("signature?", blob(64)), ("tip?", TIP), ("luggage?", HASH), ("refusal?", HANDOFF_ANSWER), ("naming?", NAMING),
    ("acceptance?", HANDOFF_ANSWER))
CHAIN = record(("genesis", GENESIS), ("links", each(CERTIFICATE)))
PARCEL = record(("header", HEADER), ("chain?", CHAIN), ("body?", blob()), ("commit?", U64))
ANSWER = known(choice(stored=(0, None), known=(1, None), conflict=(2, None), refused=(3, CODE)))
GIVEN = record(("key", KEY), ("content", HASH))
ACTION = record(("id", uuid_text), ("name", text), ("arguments", blob()), ("given", each(GIVEN)), ("acting?", KEY),
                ("answers?", uuid_text))
OUTCOME = known(choice(done=(0, blob()), failed=(1, blob()), refused=(2, CODE)))
LANE = record(("key", KEY), ("takeover?", HASH))
AFTER = record(("key", KEY), ("revision", HASH))
ENTRY = record(
    ("object", KEY), ("number", U64), ("previous", HASH), ("origin", KERNEL), ("incarnation", BYTES16), ("sequence", U64),
    ("id", uuid_text), ("action", HASH), ("outcome", HASH), ("before", HASH), ("revision", U64),
    ("content", HASH), ("certificate?", HASH))
RECEIPT = record(("entry", ENTRY), ("outcome?", OUTCOME), ("at_ms", U64), ("chain?", CHAIN), ("home", KERNEL),
                 ("signature", blob(64)))
EXCERPT = record(("bytes", blob()), ("of_bytes", U64))
SUMMARY = record(("name", text), ("arguments", EXCERPT), ("result?", EXCERPT))
STATUS = known(choice(done=(0, None), failed=(1, None), refused=(2, CODE)))
ARCHIVED_ENTRY = record(("entry", ENTRY), ("home", KERNEL), ("at_ms", U64), ("signature", blob(64)), ("outcome?", OUTCOME),
                        ("status?", STATUS), ("summary?", SUMMARY))
FRAME = choice(
    hello=(0, GREETING), admitted=(1, GREETING), denied=(2, CODE), share=(3, PARCEL),
    shared=(4, record(("key", KEY), ("id", HASH), ("answer", ANSWER), ("commit?", U64))),
    request=(5, record(("call", U64), ("uuid", uuid_text), ("line?", LINE))),
    found=(6, record(("call", U64), ("parcel", PARCEL))), absent=(7, record(("call", U64), ("code", CODE))),
    follow=(8, record(("key", KEY), ("have?", HASH))), unfollow=(9, KEY),
    following=(10, record(("key", KEY), ("on", flag), ("code?", CODE))),
    progress=(11, PROGRESS), alive=(12, None),
    pull=(16, record(("key", KEY), ("content", HASH), ("offset", U64))), body=(17, U64), reconcile=(18, blob()),
    want=(19, each(HASH)), give=(20, PARCEL), given=(21, U64), offer=(22, each(HASH)),
    kept=(23, record(("stored", U64), ("known", U64), ("conflicts", U64), ("refused", U64))),
    act=(33, record(("lane", LANE), ("sequence", U64), ("floor", U64), ("action", ACTION), ("remaining_ms?", U64),
                    ("commit?", U64), ("void?", CODE), ("certificate?", HASH), ("guest?", flag))),
    outcome=(34, record(("lane", LANE), ("sequence", U64), ("id", uuid_text), ("outcome", OUTCOME), ("after?", AFTER),
                        ("commit?", U64), ("certificate?", HASH))),
    missing=(35, record(("lane", LANE), ("from", U64))),
    need=(36, record(("lane", LANE), ("sequence", U64), ("lacks", each(GIVEN)))),
    receipt_of=(37, record(("lane", LANE), ("sequence", U64), ("id", uuid_text))), receipt=(38, RECEIPT),
    entries_of=(40, record(("key", KEY), ("newest", HASH), ("revision", U64))),
    entries=(41, record(("key", KEY), ("newest", HASH), ("entries", each(ENTRY)))),
    ahead=(42, record(("key", KEY), ("certificate", HASH), ("component", text), ("version", text), ("size", U64),
                      ("record?", flag))),
    welcome=(43, record(("key", KEY), ("certificate", HASH), ("code?", CODE))),
    handoff=(44, record(("header", HEADER), ("chain", CHAIN), ("body?", blob()), ("luggage?", blob()), ("luggage_size?", U64))),
    handed=(45, record(("key", KEY), ("answer", HANDOFF_ANSWER), ("code?", CODE))),
    moved=(46, record(("key", KEY), ("chain", CHAIN), ("addresses", each(text)))),
    guest=(47, record(("key", KEY), ("chain", CHAIN))),
    heard=(48, record(("key", KEY), ("certificate", HASH))),
    withdraw=(49, record(("chain", CHAIN))),
    find=(50, record(("text?", text), ("component?", text), ("name?", text),
                     ("conditions", each(record(("pointer", text), ("value", blob())))), ("changed_since_ms?", U64),
                     ("home?", KERNEL), ("after?", blob()), ("limit", uint(32)))),
    findings=(51, record(("objects", each(record(
        ("key", KEY), ("component", text), ("version", text), ("name?", text), ("home?", KERNEL), ("epoch", U64),
        ("revision", U64), ("size", U64), ("changed_ms", U64)))), ("next?", blob()))),
    archive=(52, record(("key", KEY), ("entries", each(ARCHIVED_ENTRY)))),
    archived=(53, record(("key", KEY), ("number", U64), ("code?", CODE))),
    follow_instead=(54, record(("key", KEY), ("at", KERNEL))),
    followed_instead=(55, record(("key", KEY), ("at", KERNEL), ("code?", CODE))))
LUGGAGE = record(
    ("lanes", each(record(
        ("name", LANE), ("origin", KERNEL), ("incarnation", BYTES16), ("mark", U64), ("floor", U64),
        ("results", each(record(("sequence", U64), ("id", uuid_text), ("hash", HASH), ("outcome", OUTCOME), ("after?", AFTER),
                                ("at_ms", U64))))))),
    ("timers", each(record(("name", text), ("after_ms", U64), ("id", uuid_text), ("action", text), ("with", blob())))),
    ("activities", each(record(("id", uuid_text), ("name", text), ("arguments", blob()), ("action", text), ("with", blob())))),
    ("grants", each(record(("right", U64), ("kernel", KERNEL), ("object?", KEY), ("actions?", each(text)),
                           ("remaining_ms?", U64)))),
    ("followers", each(KERNEL)),
    ("acquaintances", each(record(("kernel", KERNEL), ("addresses", each(text))))),
    ("left?", each(record(("id", uuid_text), ("action", text), ("with", blob())))),
    ("beside?", each(record(("header", HEADER), ("body?", blob()), ("from?", KERNEL)))))
TICKET = record(("kernel", KERNEL), ("secret", BYTES16), ("addresses", each(text)))
RECORDS = {"header": HEADER, "genesis": GENESIS, "certificate": CERTIFICATE, "chain": CHAIN, "object-key": KEY,
           "action": ACTION, "outcome": OUTCOME, "entry": ENTRY, "receipt": RECEIPT, "progress": PROGRESS,
           "lane": LANE}


def decode(data):
    """Exactly one CBOR item: wrapped in an array with a mark behind it, so that neither too little nor too much fits."""
    mark = b"\x69once-end!"
    try:
        item, end = cbor2.loads(b"\x82" + data + mark)
    except Exception as error:
        raise Bad(f"not CBOR: {error}") from error
    need(end == mark[1:].decode(), "more bytes follow")
    return item


def canonical(item):
    return cbor2.dumps(item, canonical=True)


def raw(value):
    """The bytes of h'..'."""
    return bytes.fromhex(value[2:-1])


def same(found, described, what="value"):
    need(found == described, f"{what}:\n  found     {json.dumps(found)}\n  described {json.dumps(described)}")


# --- Hashes and checks: sections 4 and 7 of docs/protocol.md -----------------------------------------------------------

def bare_id(context, item, *without):
    return derive_key(context, canonical({key: part for key, part in item.items() if key not in without}))


def header_id(item):
    return bare_id("once/2 revision", {key: item[key] for key in item if key < 14}, 12)


def item_id(header):
    record = header[0] + header.get(1, bytes(32)) + header[2].to_bytes(8, "big") + header[3].to_bytes(8, "big")
    return header[0][:8] + derive_key("once/2 item", record + header[6] + bytes([header[8]]))[:24]


def lineage(genesis):
    return derive_key("once/2 genesis", canonical(genesis))


def certificate_id(link):
    return bare_id("once/2 certificate", link, 9, 14)


def signed(purpose, digest, signature, signer):
    return signature is not None and verifies(signer, f"once/2 sign {purpose}\0".encode() + digest, signature)


def progress_hash(item):
    return derive_key("once/2 progress", item[0] + item[1].to_bytes(8, "big") + item[2] + item[3].to_bytes(8, "big"))


def answers(answer, handoff, accepted):
    """Whether it is the answer of the receiver of a handoff, in the incarnation that the handoff names."""
    digest = derive_key("once/2 answer to handoff", answer[0] + bytes([answer[1]]) + answer[2])
    return (answer[0] == certificate_id(handoff) and answer[1] is accepted and answer[2] == handoff[4]
            and signed("answer", digest, answer[3], handoff[3]))


HANDOFF, REOPEN, ADOPT, REINSTATE, PROMOTE = range(5)


def follows(link, before, home, genesis):
    """Whether a certificate of its kind may stand behind `before`, while `home` serves: section 4."""
    kind, extra = link[2], {key for key in (11, 12, 13, 14) if key in link}
    if kind == HANDOFF:
        return link[8] == home and extra - {14} == {11}
    if kind == REOPEN:
        return (extra == {12} and link[8] == link[3] == home and before is not None and before[2] == HANDOFF
                and answers(link[12], before, False))
    if kind == ADOPT:
        return extra == set() and link[8] in genesis[2]
    if kind == REINSTATE:
        return extra == set() and link[8] == link[3] == home
    if kind == PROMOTE and extra == {13}:
        naming = link[13]
        digest = derive_key("once/2 standby", naming[0] + naming[1] + naming[2])
        return (naming[0] == link[0] and naming[1] == link[5] and naming[2] == link[8] == link[3]
                and signed("naming", digest, naming[3], home))
    return False


def walk(chain):
    """Checks a chain: home and epoch of each certificate in it, the newest last."""
    genesis, links = chain[0], chain[1]
    home, epoch, base, before = genesis[1], 1, lineage(genesis), None
    holders = {base: (home, epoch)}
    need(len(links) <= 2064 and len(genesis[2]) <= 8, "too long")
    for place, link in enumerate(links):
        need(link[0] == lineage(genesis) and link[5] == base and link[1] == epoch + 1, "does not continue the chain")
        need(follows(link, before, home, genesis), "not one that may stand here")
        base = certificate_id(link)
        need(signed("certificate", base, link.get(9), link[8]), "not signed")
        reopened = place + 1 < len(links) and links[place + 1][2] == REOPEN
        accepted = 14 in link and answers(link[14], link, True)
        need(link[2] != HANDOFF or accepted or reopened, "not accepted")
        home, epoch, before = home if reopened else link[3], link[1], link
        holders[base] = (link[3], epoch)
    return holders


def receipt_hash(item):
    return derive_key("once/2 receipt", derive_key("once/2 ledger entry", canonical(item[0])) + item[2].to_bytes(8, "big"))


def receipt_verdict(item, home):
    """The checks of a receipt in section 5.5: `ok`, or what is wrong first."""
    entry, chain = item[0], item.get(3)
    if item[4] != home:
        return "other-home"
    if not signed("receipt", receipt_hash(item), item[5], home):
        return "signature"
    if 1 in item and derive_key("once/2 outcome", canonical(item[1])) != entry[8]:
        return "outcome"
    identity, (kind, (line,)) = entry[0]
    try:
        need((kind == 1) == (chain is not None), "a chain belongs to a claimed object")
        if chain is not None:
            need((lineage(chain[0]), chain[0][0]) == (line, identity), "the chain of another object")
            need(list(walk(chain).values())[-1][0] == home, "leads elsewhere")
        return "ok"
    except Bad:
        return "chain"


def derived_id(context, record):
    """A UUID of version 8: the ids of effects and of their answers."""
    data = bytearray(derive_key(context, record)[:16])
    data[6], data[8] = data[6] & 15 | 128, data[8] & 63 | 128
    return str(uuid.UUID(bytes=bytes(data)))


UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


def scenario(body):
    """UUID (if it has one of its own), component and version of a scenario. Enough for these vectors: limits and lone
    surrogates are left out."""
    class Number(str):
        """Numbers stay as they are spelled."""
    try:
        top = json.loads(body.decode(), parse_int=Number, parse_float=Number)
    except ValueError as error:
        raise Bad(f"not JSON: {error}") from error
    need(isinstance(top, dict), "not an object")

    def section(name):
        return top[name] if isinstance(top.get(name), dict) else {}

    def cut(name):
        if name is None or isinstance(name, str) and not isinstance(name, Number):
            return (name or "").encode()[:255].decode(errors="ignore")
        return compact(name)

    def compact(value):
        if isinstance(value, dict):
            return "{" + ",".join(f"{json.dumps(key)}:{compact(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(compact, value)) + "]"
        return value if isinstance(value, Number) else json.dumps(value)

    ior = section("ior") if isinstance(top.get("ior"), dict) else section("IOR")
    found = None
    for place in (ior.get("uuid"), section("model").get("uuid"), top.get("uuid")):
        if found is None and isinstance(place, str) and UUID.match(place):
            found = uuid.UUID(place)
            found = found if 0 < found.int < 2**128 - 1 else None
    known_envelope = "model" in top and (isinstance(top.get("ior"), dict)
                                         or isinstance(top.get("IOR"), dict) and "owner" in top)
    if not known_envelope and {"uuid", "objectType"} <= top.keys() and ("state" in top or "metadata" in top):
        component, version = top["objectType"], top.get("version")
    else:
        component, version = ior.get("component"), ior.get("version")
    component = component if isinstance(component, str) and not isinstance(component, Number) else ""
    return found, cut(component), cut(version)


def derived(body):
    return uuid.uuid5(CONTENT, blake3(body)) if sys.version_info >= (3, 12) else \
        uuid.UUID(bytes=hashlib.sha1(CONTENT.bytes + blake3(body)).digest()[:16], version=5)


CONTENT = uuid.uuid5(uuid.NAMESPACE_URL, "ior:once:content")


def verdict(parcel, sender):
    """The checks of section 7: `ok`, or the code of the refusal."""
    header, chain, body = parcel[0], parcel.get(1), parcel.get(2)
    if header[7] > 64 * 1024 * 1024:
        return "too-large"
    try:
        need(len(header[9].encode()) <= 255 and len(header[10].encode()) <= 255, "a long name")
        if header[8]:
            need(body is None and 1 in header and header[7] == 0 and header[6] == blake3(b""), "not a tombstone")
        else:
            need(body is not None and header[7] == len(body) and header[6] == blake3(body), "other bytes")
            found, component, version = scenario(body)
            own = found is not None or header[3] <= 1
            need(not own or header[0] == (found or derived(body)).bytes, "another UUID")
            need((header[9], header[10]) == (component, version), "another component")
        if 1 not in header:
            need(header[2] == header[3] == 0 and chain is None, "claims something")
            need(not {4, 5, 11, 12, 13} & header.keys(), "claims something")
            return "ok"
        need(chain is not None and lineage(chain[0]) == header[1], "not its chain")
        holders = walk(chain)
        need(header.get(4) in holders, "not a certificate of the chain")
        need(header[4] == list(holders)[-1], "not the last certificate of the chain")
        home, epoch = holders[header[4]]
        need(header[0] == chain[0][0] and header[2] == epoch and header[3] >= 1, "not of the chain")
        need((header[3] == 1) == (5 not in header), "parent")
        need(header[3] != 1 or header[6] == chain[0][3], "not the genesis content")
        need(sender == home or signed("revision", header_id(header), header.get(12), home), "not signed")
        return "ok"
    except Bad:
        return "invalid"


# --- Comparing: section 6 ----------------------------------------------------------------------------------------------

INFINITY = 2**64 - 1  # as a timestamp: behind everything


def varint(data):
    """A number; what the end of the message cuts off of it counts as nothing."""
    number = 0
    while data:
        byte = data.pop(0)
        number = number << 7 | byte & 127
        if byte < 128:
            break
    return number


def take(data, length):
    need(len(data) >= length, "cut short")
    part = bytes(data[:length])
    del data[:length]
    return part


def ranges(payload):
    """The ranges of a payload: upper bound (timestamp, prefix), mode, and fingerprint or ids."""
    data, found, past = bytearray(payload), [], 0
    need(take(data, 1) == b"\x61", "another version")
    while data:
        stamp = varint(data)
        past = INFINITY if stamp == 0 else min(past + stamp - 1, INFINITY)
        length = varint(data)
        need(length <= 32, "a long prefix")
        prefix = take(data, length)
        upper = (past, prefix)
        mode = varint(data)
        if mode == 0:
            found.append((upper, mode, None))
        elif mode == 1:
            found.append((upper, mode, take(data, 16)))
        else:
            need(mode == 2, f"mode {mode}")
            found.append((upper, mode, [take(data, 32) for _ in range(varint(data))]))
    return found


def fingerprint(items):
    total = sum(int.from_bytes(item, "little") for item in items) % 2**256
    count, length = len(items), b""
    while True:
        length = bytes([count & 127 | (128 if length else 0)]) + length
        count >>= 7
        if not count:
            return hashlib.sha256(total.to_bytes(32, "little") + length).digest()[:16]


def compare(vector):
    """Follows the payloads: what each says is true of its sender's set, and the ids listed last give the difference."""
    sides = [sorted(map(bytes.fromhex, vector[side])) for side in ("initiator", "responder")]
    have, need_ids = set(), set()
    for turn, payload in enumerate(vector["payloads"]):
        mine, theirs, lower = sides[turn % 2], sides[1 - turn % 2], (0, b"")
        for upper, mode, what in ranges(bytes.fromhex(payload)):
            def inside(items):
                return [item for item in items if (0, item) >= lower and (0, item) < upper]
            if mode == 1:
                same(what.hex(), fingerprint(inside(mine)).hex(), "fingerprint")
            if mode == 2:
                same([item.hex() for item in what], [item.hex() for item in inside(mine)], "ids")
                if turn % 2 == 1:
                    have |= set(inside(theirs)) - set(what)
                    need_ids |= set(what) - set(inside(theirs))
            lower = upper
    same(sorted(item.hex() for item in have), vector["have"], "have")
    same(sorted(item.hex() for item in need_ids), vector["need"], "need")
    same(sorted(item.hex() for item in set(sides[0]) - set(sides[1])), vector["have"], "have, by sets")


def digits(number):
    """A number as a message has it."""
    found = bytes([number & 127])
    while number := number >> 7:
        found = bytes([number & 127 | 128]) + found
    return found


def written(upper, past):
    """A bound behind one with the timestamp `past`."""
    return digits(0 if upper[0] == INFINITY else 1 + upper[0] - past) + digits(len(upper[1])) + upper[1]


def split(items, upper):
    """Ranges that tell what is in one of one's own: (upper bound, mode, payload)."""
    if len(items) < 32:
        return [(upper, 2, digits(len(items)) + b"".join(items))]
    found, each, longer, start = [], len(items) // 16, len(items) % 16, 0
    for n in range(16):
        end = start + each + (n < longer)
        bound = upper
        if n < 15:
            left, right = items[end - 1], items[end]
            differs = next(i for i in range(32) if left[i] != right[i])
            bound = (0, right[:differs + 1])
        found.append((bound, 1, fingerprint(items[start:end])))
        start = end
    return found


def answer(items, message, initiator):
    """What one side answers to a message, and what the initiator learns from it: bytes, have, need."""
    need(message and 0x60 <= message[0] <= 0x6f, "no message")
    if message[0] != 0x61:
        need(not initiator, "another version")
        return b"\x61", set(), set()
    out, have, needs, index = [], set(), set(), 0
    for upper, mode, what in ranges(message):
        end = index
        while end < len(items) and (0, items[end]) < (upper[0], upper[1].ljust(32, b"\0")):
            end += 1
        mine, index = items[index:end], end
        if mode == 2 and initiator:
            have |= set(mine) - set(what)
            needs |= set(what) - set(mine)
        if mode == 2 and not initiator:
            out.append((upper, 2, digits(len(mine)) + b"".join(mine)))
        elif mode == 1 and what != fingerprint(mine):
            out += split(mine, upper)
        else:
            out.append((upper, 0, b""))
    said, past, skipped = b"\x61", 0, None
    for part in out:
        if not part[1]:
            skipped = part
            continue
        for upper, mode, what in (skipped, part) if skipped else (part,):
            said += written(upper, past) + digits(mode) + what
            past = upper[0]
        skipped = None
    return said, have, needs


def comparing(vector):
    """What each side makes of one message; `null` if it is malformed."""
    items, message = sorted(map(bytes.fromhex, vector["items"])), bytes.fromhex(vector["message"])
    for side in ("initiator", "responder"):
        try:
            said, have, needs = answer(items, message, side == "initiator")
            found = {"answer": said.hex()}
            if side == "initiator":
                found |= {"have": sorted(map(bytes.hex, have)), "need": sorted(map(bytes.hex, needs))}
        except Bad:
            found = None
        same(found, vector[side], side)


# --- References: section 9 ---------------------------------------------------------------------------------------------

HEX64 = re.compile(r"[0-9a-fA-F]{64}\Z")
ADDRESS = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]+\]):[0-9]+\Z")


def kernel_bytes(name):
    return base64.b32decode(name.upper() + "====")


def once_ior(reference):
    path, _, query = reference.removeprefix("ior:once:").partition("?")
    need(path.startswith("//"), "shape")
    parts = path[2:].split("/")
    need(len(parts) == 4 and parts[1] and parts[2] and UUID.match(parts[3]), "shape")
    found = {}
    if parts[0] != "-":
        need(re.match(r"[A-Za-z2-7]{52}\Z", parts[0]), "home")
        found["home"] = f"h'{kernel_bytes(parts[0]).hex()}'"
    for name, part in (("component", parts[1]), ("version", parts[2])):
        found[name] = "" if part == "-" else urllib.parse.unquote(part, errors="strict")
    found["uuid"] = str(uuid.UUID(parts[3]))
    addresses = []
    for parameter in query.split("&"):
        name, _, value = parameter.partition("=")
        if name in ("lineage", "hash"):
            need(HEX64.match(value) and name not in found, name)
            found[name] = f"h'{value.lower()}'"
        elif name == "at":
            for address in map(urllib.parse.unquote, value.split(",")):
                if ADDRESS.match(address) and 0 < int(address.rpartition(":")[2]) < 65536:
                    addresses.append(address)
    found["at"] = addresses
    return found


def print_ior(value):
    def name(part):
        if part in ("", "-", ".", ".."):
            return "".join(f"%{byte:02X}" for byte in part.encode()) or "-"
        return urllib.parse.quote(part, safe="")
    home = base64.b32encode(raw(value["home"])).decode().rstrip("=").lower() if "home" in value else "-"
    parameters = [f"{key}={value[key][2:-1]}" for key in ("lineage", "hash") if key in value]
    if value["at"]:
        parameters.append("at=" + ",".join(urllib.parse.quote(address, safe=":") for address in value["at"]))
    query = "?" + "&".join(parameters) if parameters else ""
    return f"ior:once://{home}/{name(value['component'])}/{name(value['version'])}/{value['uuid']}{query}"


def ior(vector):
    reference, form = vector["text"], vector["form"]
    if form == "once":
        same(once_ior(reference), vector["value"])
        same(print_ior(vector["value"]), vector["printed"], "printed")
    elif form == "refused":
        try:
            need(UUID.match(reference) or reference[:4].lower() == "ior:" or reference[:5].lower() == "web4:", "no IOR")
            need(not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in reference), "a control character")
            need(reference.startswith("ior:once:"), "kept as it is")
            once_ior(reference)
        except Bad as error:
            return need(str(error) != "kept as it is", "not refused")
        raise Bad("not refused")
    elif "uuid" in vector["value"]:
        need(vector["value"]["uuid"] in reference, "another UUID")


# --- The groups --------------------------------------------------------------------------------------------------------

def is_address(address):
    if "://" in address:
        return bool(urllib.parse.urlsplit(address).hostname)
    return bool(ADDRESS.match(address)) and 0 < int(address.rpartition(":")[2]) < 65536


def read_ticket(printed):
    need(printed.startswith("once"), "another kind")
    letters = printed[4:].upper()
    try:
        data = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except ValueError as error:
        raise Bad(f"not base32: {error}") from error
    need(derive_key("once/2 ticket", data[:-4])[:4] == data[-4:], "damaged")
    value = {key: of for key, of in TICKET(decode(data[:-4])).items() if not key.startswith("?")}
    need(len(value["addresses"]) <= 16, "too many addresses")
    need(not value["addresses"] or any(map(is_address, value["addresses"])), "no address that makes sense")
    return value


def ticket(vector):
    if not vector.get("refused"):
        return same(read_ticket(vector["text"]), vector["value"])
    try:
        read_ticket(vector["text"])
    except Bad:
        return None
    raise Bad("not refused")


def frame(vector):
    data = bytes.fromhex(vector["hex"])
    item = decode(data)
    same(FRAME(item), vector["value"])
    same(canonical(item).hex(), vector["hex"], "canonical")


def tolerated(vector):
    understood = known(FRAME)(decode(bytes.fromhex(vector["hex"])))
    same(understood, vector["value"])

    def strip(value):
        if isinstance(value, dict):
            return {key: strip(part) for key, part in value.items() if not key.startswith("?")}
        return [strip(part) for part in value] if isinstance(value, list) else value
    same(FRAME(decode(bytes.fromhex(vector["canonical"]))), strip(understood), "canonical")


def unknown(vector):
    found = FRAME(decode(bytes.fromhex(vector["hex"])))
    same(found, vector["value"])
    need(next(iter(found)).startswith("?"), "known")


def refused(vector):
    try:
        found = known(FRAME)(decode(bytes.fromhex(vector["hex"])))
    except Bad:
        return
    raise Bad(f"not refused: {found}")


def a_record(vector):
    item, kind = decode(bytes.fromhex(vector["hex"])), vector["type"]
    same(RECORDS[kind](item), vector["value"])
    same(canonical(item).hex(), vector["hex"], "canonical")
    if kind == "header":
        same(header_id(item).hex(), raw(vector["id"]).hex(), "id")
        same(item_id(item).hex(), raw(vector["item"]).hex(), "item id")
        if "signer" in vector:
            need(signed("revision", header_id(item), item[12], raw(vector["signer"])), "signature")
    elif kind == "certificate":
        same(certificate_id(item).hex(), raw(vector["id"]).hex(), "id")
        need(signed("certificate", certificate_id(item), item[9], raw(vector["signer"])), "signature")
    elif kind == "progress":
        need(signed("progress", progress_hash(item), item[4], raw(vector["signer"])), "signature")
    elif kind == "genesis":
        same(lineage(item).hex(), raw(vector["lineage"]).hex(), "lineage")
    elif kind == "action":
        digest = derive_key("once/2 action", uuid.UUID(vector["object"]).bytes + canonical(item))
        same(digest.hex(), raw(vector["hash"]).hex(), "hash")
    elif kind in ("outcome", "entry"):
        context = {"outcome": "once/2 outcome", "entry": "once/2 ledger entry"}[kind]
        same(derive_key(context, canonical(item)).hex(), raw(vector["hash"]).hex(), "hash")
    elif kind == "receipt":
        same(receipt_verdict(item, raw(vector["expected"])), vector["verdict"], "verdict")
        if "secret" in vector:
            message = b"once/2 sign receipt\0" + receipt_hash(item)
            same([part.hex() for part in sign(raw(vector["secret"]), message)], [item[4].hex(), item[5].hex()], "signed")
    elif kind == "object-key":
        same((item[0] + bytes([item[1][0]]) + item[1][1][0]).hex(), raw(vector["row"]).hex(), "row")
    elif kind == "chain":
        same(lineage(item[0]).hex(), raw(vector["lineage"]).hex(), "lineage")
        try:
            certificate, (home, epoch) = list(walk(item).items())[-1]
        except Bad:
            return need(not vector["valid"], "not valid")
        need(vector["valid"], "valid")
        same([home.hex(), epoch, certificate.hex()],
             [raw(vector["home"]).hex(), vector["epoch"], raw(vector["certificate"]).hex()], "where it ends")


def a_hash(vector):
    kind = vector["type"]
    if kind == "content":
        same(blake3(raw(vector["input"])).hex(), raw(vector["hash"]).hex(), "hash")
    elif kind == "record":
        same(derive_key(vector["context"], raw(vector["input"])).hex(), raw(vector["hash"]).hex(), "hash")
    elif kind == "signature":
        message = f"once/2 sign {vector['purpose']}\0".encode() + raw(vector["hash"])
        same(message.hex(), raw(vector["message"]).hex(), "message")
        public, signature = sign(raw(vector["secret"]), message)
        same([public.hex(), signature.hex()], [raw(vector["public"]).hex(), raw(vector["signature"]).hex()], "signed")
        need(verifies(public, message, signature), "does not verify")
        need(not verifies(public, message + b"x", signature), "verifies for another message")
    elif kind == "kernel-id":
        same(kernel_bytes(vector["text"]).hex(), raw(vector["bytes"]).hex(), "kernel id")
    elif kind == "effect-id":
        record = raw(vector["origin"]) + uuid.UUID(vector["cause"]).bytes + vector["index"].to_bytes(4, "big")
        same(derived_id("once/2 effect", record), vector["id"], "id")
    elif kind == "answer-id":
        same(derived_id("once/2 answer", uuid.UUID(vector["effect"]).bytes), vector["id"], "id")
    elif kind == "derived-uuid":
        same(str(derived(raw(vector["input"]))), vector["uuid"], "UUID")
    else:
        need(kind == "scenario", f"unknown type {kind}")
        body = raw(vector["input"])
        found, component, version = scenario(body)
        same([str(found or derived(body)), component, version, len(body), blake3(body).hex()],
             [vector[key] for key in ("uuid", "component", "version", "size")] + [raw(vector["content"]).hex()])


def parcel(vector):
    item = decode(bytes.fromhex(vector["hex"]))
    same(PARCEL(item), vector["value"])
    same(canonical(item).hex(), vector["hex"], "canonical")
    same(verdict(item, raw(vector["sender"])), vector["verdict"], "verdict")


def moving(vector):
    """The frames of section 5.6, and that they belong together."""
    frame(vector)
    number, (item,) = decode(bytes.fromhex(vector["hex"]))
    if number == 44:
        handoff = item[1][1][-1]
        need((3 in item) != (4 in item), "luggage is inside, or pulled")
        packed = item[3] if 3 in item else bytes.fromhex(vector["apart"])
        luggage = decode(packed)
        same(canonical(luggage).hex(), packed.hex(), "canonical luggage")
        same(LUGGAGE(luggage), vector["luggage"], "luggage")
        need(handoff[11] == blake3(packed), "the handoff names other luggage")
        need(item.get(4, len(packed)) == len(packed), "luggage of another size")
        need(handoff[7] == header_id(item[0]) and handoff[6] == item[0][3], "the handoff names another revision")
        need(signed("certificate", certificate_id(handoff), handoff[9], handoff[8]), "the handoff is not signed")
    if number == 45:
        digest = derive_key("once/2 answer to handoff", item[1][0] + bytes([item[1][1]]) + item[1][2])
        need(signed("answer", digest, item[1][3], raw(vector["receiver"])), "the answer is not signed")
    if number in (46, 47):
        need(len(walk(item[1])) > 1, "the object has not moved")


GROUPS = {"frames": frame, "finds": frame, "moves": moving, "tolerated": tolerated, "unknown": unknown, "refused": refused,
          "records": a_record, "hashes": a_hash, "parcels": parcel, "exchange": compare, "comparing": comparing, "iors": ior, "tickets": ticket}


def main():
    here, count, differ = pathlib.Path(__file__).resolve().parent, 0, 0
    stray = {path.stem for path in here.glob("*.json")} ^ GROUPS.keys()
    if stray:
        sys.exit(f"files without a check, or checks without a file: {', '.join(sorted(stray))}")
    for group, check in GROUPS.items():
        for vector in json.loads((here / f"{group}.json").read_text(encoding="utf-8"))["vectors"]:
            count += 1
            try:
                check(vector)
                if "--verbose" in sys.argv:
                    print(f"same    {group}: {vector['name']}")
            except Exception as error:  # whatever goes wrong, the vector is named and the rest is checked
                differ += 1
                print(f"differs {group}: {vector['name']}: {type(error).__name__}: {error}")
    print(f"vectors {count}, differ {differ}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
