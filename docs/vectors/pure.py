"""BLAKE3 and Ed25519 in plain Python: slow, short, and independent of the engine. For checking vectors only."""

import hashlib

# --- BLAKE3: https://github.com/BLAKE3-team/BLAKE3-specs ---------------------------------------------------------------

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
CHUNK_START, CHUNK_END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64
LANES = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]


def _words(data):
    return [int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)]


def _compress(chaining, block, counter, length, flags):
    """The first eight words of BLAKE3's compression: all that a 32-byte hash needs."""
    m = _words(block.ljust(64, b"\0"))
    v = chaining + IV[:4] + [counter & 0xFFFFFFFF, counter >> 32, length, flags]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(LANES):
            for x, turn, twist in ((m[2 * i], 16, 12), (m[2 * i + 1], 8, 7)):
                v[a] = (v[a] + v[b] + x) & 0xFFFFFFFF
                v[d] ^= v[a]
                v[d] = (v[d] >> turn | v[d] << 32 - turn) & 0xFFFFFFFF
                v[c] = (v[c] + v[d]) & 0xFFFFFFFF
                v[b] ^= v[c]
                v[b] = (v[b] >> twist | v[b] << 32 - twist) & 0xFFFFFFFF
        m = [m[i] for i in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def _bytes(words):
    return b"".join(word.to_bytes(4, "little") for word in words)


def _tree(data, index, key, flags, root):
    """The chaining value of the chunks in `data`, of which the first is chunk number `index`."""
    if len(data) > 1024:
        left = 1024 << ((len(data) - 1) // 1024).bit_length() - 1
        block = _bytes(_tree(data[:left], index, key, flags, 0)
                       + _tree(data[left:], index + left // 1024, key, flags, 0))
        return _compress(key, block, 0, 64, flags | PARENT | root)
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    value = key
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        flag = flags | (CHUNK_START if i == 0 else 0) | (CHUNK_END | root if last else 0)
        value = _compress(value, block, index, len(block), flag)
    return value


def blake3(data):
    """BLAKE3 of the data, 32 bytes."""
    return _bytes(_tree(data, 0, IV, 0, ROOT))


def derive_key(context, data):
    """BLAKE3 in `derive_key` mode, 32 bytes."""
    return _bytes(_tree(data, 0, _tree(context.encode(), 0, IV, CONTEXT, ROOT), MATERIAL, ROOT))


# --- Ed25519: RFC 8032 -------------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def _add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = _add(q, p)
        p, n = _add(p, p), n >> 1
    return q


def _point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def _encode(p):
    z = pow(p[2], -1, P)
    x, y = p[0] * z % P, p[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = _point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def _number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def sign(secret, message):
    """The public key of a secret one, and its signature over the message."""
    digest = hashlib.sha512(secret).digest()
    a = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    public = _encode(_times(a, BASE))
    r = _number(digest[32:], message) % L
    point = _encode(_times(r, BASE))
    s = (r + _number(point, public, message) * a) % L
    return public, point + s.to_bytes(32, "little")


def verifies(public, message, signature):
    """Whether the holder of the public key signed the message."""
    point, s = _point(public), int.from_bytes(signature[32:], "little")
    if point is None or s >= L:
        return False
    k = _number(signature[:32], public, message) % L
    minus = (P - point[0], point[1], 1, P - point[3])
    return _encode(_add(_times(s, BASE), _times(k, minus))) == signature[:32]
