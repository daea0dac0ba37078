"""age files: ours opened by the stock tool and by pyrage, theirs by ours, and nothing else by anybody."""

from __future__ import annotations

import contextlib
import subprocess

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.age import (
    CHUNK,
    SEALED_CHUNK,
    TAG,
    AgeError,
    Identity,
    Payload,
    parse_recipient,
    plain_size,
    read_header,
    write_header,
)
from gateway.crypto.bech32 import Bech32Error, from_bech32, to_bech32
from tests import peers
from tests.evidence.vault.lab import noise

SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17)
IDENTITY = Identity(bytes(range(32)))


@pytest.fixture
def stock_age() -> str:
    """The age of the distribution."""
    return peers.program("age")


def ours(content: bytes, identity: Identity = IDENTITY) -> bytes:
    """An age file by our code."""
    header, payload = write_header(identity.recipient)
    parts = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)] or [b""]
    sealed = [payload.seal(i, part, last=i == len(parts) - 1) for i, part in enumerate(parts)]
    return header + b"".join(sealed)


def opened(file: bytes, identity: Identity = IDENTITY) -> bytes:
    """The plaintext of an age file, by our code."""
    start, payload = read_header(file, identity)
    parts = [file[at : at + SEALED_CHUNK] for at in range(start, len(file), SEALED_CHUNK)]
    plain = b"".join(payload.open(i, part, last=i == len(parts) - 1) for i, part in enumerate(parts))
    assert len(plain) == plain_size(len(file) - start)
    return plain


@pytest.mark.usefixtures("stock_age")
@pytest.mark.parametrize("size", SIZES)
def test_stock_age_opens_ours(tmp_path, size):
    """`age -d` with the printed identity gives the same bytes."""
    (tmp_path / "key").write_text(IDENTITY.printed() + "\n")
    (tmp_path / "file.age").write_bytes(ours(noise(size)))
    found = subprocess.run(
        ["age", "-d", "-i", tmp_path / "key", tmp_path / "file.age"], capture_output=True, check=True
    )
    assert found.stdout == noise(size)


@pytest.mark.usefixtures("stock_age")
@pytest.mark.parametrize("size", SIZES)
def test_we_open_stock_age(size):
    """What `age -r` wrote for the printed recipient opens here."""
    sealed = subprocess.run(
        ["age", "-r", IDENTITY.printed_recipient()], input=noise(size), capture_output=True, check=True
    )
    assert opened(sealed.stdout) == noise(size)


@pytest.mark.parametrize("size", SIZES)
def test_pyrage_agrees(size):
    """The Rust implementation opens ours and writes what we open (its header carries a stanza of no meaning)."""
    theirs = pyrage.x25519.Identity.from_str(IDENTITY.printed())
    assert pyrage.decrypt(ours(noise(size)), [theirs]) == noise(size)
    assert opened(pyrage.encrypt(noise(size), [theirs.to_public()])) == noise(size)


def test_several_recipients_one_is_ours():
    """Stanzas of other recipients are passed over."""
    other = pyrage.x25519.Identity.generate().to_public()
    mine = pyrage.x25519.Identity.from_str(IDENTITY.printed()).to_public()
    assert opened(pyrage.encrypt(b"evidence", [other, mine])) == b"evidence"


def test_keys_print_as_the_other_implementation_prints_them():
    """Identity and recipient are spelt as pyrage spells them."""
    theirs = pyrage.x25519.Identity.from_str(IDENTITY.printed())
    assert str(theirs) == IDENTITY.printed()
    assert str(theirs.to_public()) == IDENTITY.printed_recipient()
    assert parse_recipient(IDENTITY.printed_recipient()) == IDENTITY.recipient


def test_fresh_identities_differ_and_do_not_print_in_repr():
    """Two identities are two; a log line that prints one shows no secret."""
    one, two = Identity.fresh(), Identity.fresh()
    assert one != two
    assert one.secret.hex() not in repr(one)
    assert str(one.secret) not in repr(one)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AGE-SECRET-KEY-1",
        IDENTITY.printed().lower(),
        IDENTITY.printed()[:-1] + "Q",
        IDENTITY.printed() + "Q",
        IDENTITY.printed().replace("AGE-SECRET-KEY-", "AGE-PUBLIC-KEY-"),
        to_bech32("age-secret-key-", bytes(31)).upper(),
    ],
)
def test_what_is_no_identity_is_refused(text):
    """Prefix, case, checksum and length are all checked."""
    with pytest.raises(AgeError):
        Identity.parse(text)


@given(st.binary(max_size=64), st.sampled_from(["age", "age-secret-key-", "x"]))
def test_bech32_round_trips(content, prefix):
    """from∘to is the identity."""
    assert from_bech32(prefix, to_bech32(prefix, content)) == content


@given(st.binary(min_size=1, max_size=40), st.data())
def test_bech32_finds_every_changed_letter(content, data):
    """One letter changed never reads as anything."""
    text = to_bech32("age", content)
    place = data.draw(st.integers(4, len(text) - 1))
    letter = data.draw(st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
    if letter != text[place]:
        with pytest.raises(Bech32Error):
            from_bech32("age", text[:place] + letter + text[place + 1 :])


@given(st.text(max_size=80))
def test_bech32_only_ever_says_no(text):
    """Any text is read or refused, nothing else."""
    with contextlib.suppress(Bech32Error):
        assert to_bech32("age", from_bech32("age", text)) == text


@given(st.data())
def test_one_changed_byte_is_found(data):
    """A file with any byte changed, or cut anywhere, does not open."""
    file = ours(noise(300))
    place = data.draw(st.integers(0, len(file) - 1))
    changed = bytearray(file)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AgeError):
        opened(bytes(changed))
    with pytest.raises(AgeError):
        opened(file[:place])


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_as_a_header(content):
    """Nothing but AgeError is ever raised."""
    for start in (content, b"age-encryption.org/v1\n" + content, b"age-encryption.org/v1\n-> X25519 " + content):
        with pytest.raises(AgeError):
            read_header(start, IDENTITY)


def test_the_wrong_identity_opens_nothing():
    """Each exhibit has its own key."""
    with pytest.raises(AgeError):
        opened(ours(b"evidence"), Identity(bytes(32)))


def test_a_file_cut_at_a_chunk_is_found():
    """The last chunk carries a flag: a file that ends a chunk early does not open."""
    file = ours(noise(2 * CHUNK))
    with pytest.raises(AgeError):
        opened(file[:-SEALED_CHUNK])


def test_chunks_may_not_change_places():
    """A chunk opens under its own number alone."""
    payload = Payload(bytes(32))
    sealed = payload.seal(3, b"x", last=False)
    assert payload.open(3, sealed, last=False) == b"x"
    for number, last in ((2, False), (3, True), (4, False)):
        with pytest.raises(AgeError):
            payload.open(number, sealed, last=last)


@pytest.mark.parametrize("octets", [0, 1, TAG - 1, SEALED_CHUNK + 1, SEALED_CHUNK + TAG])
def test_lengths_that_no_payload_has(octets):
    """A payload ends with a chunk of at least a byte, unless it is empty altogether."""
    with pytest.raises(AgeError):
        plain_size(octets)


@given(st.integers(0, 10 * CHUNK))
def test_plain_size_is_what_was_written(size):
    """The size follows from the length alone."""
    chunks = max(1, -(-size // CHUNK))
    assert plain_size(size + chunks * TAG) == size
