"""A store whose details were moved, exchanged, cut, erased, or are of another act."""

import os

from tests.evidence.verify.build_store import (
    Store,
    put,
    write_log,
)
from tests.evidence.verify.test_store import check, paths, store

__all__ = ["store"]


def test_moved_detail(store):
    """A detail put into another details file does not open there."""
    raw = store.records.pop(3)
    store.write_details()
    store.details_key, records = os.urandom(32), store.records
    store.wrap("details/000001", store.details_key)
    store.write_keys()
    put(store.evidence / "details" / "000001.dtl", b"LAPELDTL1\n" + raw)
    assert "details/000001.dtl record 0" in paths(check(store))
    assert len(records) == 7


def test_details_file_missing_in_between(store):
    """A gap in the numbers of the details files is named."""
    store.wrap("details/000002", os.urandom(32))
    store.write_keys()
    put(store.evidence / "details" / "000002.dtl", b"LAPELDTL1\n")
    first = store.evidence / "details" / "000000.dtl"
    raw = first.read_bytes()
    first.unlink()
    put(first, raw[: len(raw) // 2])
    assert {"details/000001.dtl"} <= paths(check(store))


def test_exchanged_hmacs_between_leaves_and_details(store):
    """A detail twice, in the place of another: both are found."""
    store.records[4] = store.records[3]
    store.write_details()
    assert {"details/000000.dtl record 4", "log entry 4"} <= paths(check(store))


def test_a_cut_record_before_good_ones_is_found(store):
    """Damage before the last committed detail is no trace of a crash."""
    record, _ = store.detail_record({"v": 1})
    store.records.insert(2, b"X" + record[1:])
    store.write_details()
    assert "details/000000.dtl record 2" in paths(check(store))


def erase(store, number):
    """Erase one detail as the document says."""
    raw = store.records[number]
    store.records[number] = b"E" + raw[1:49] + bytes(len(raw) - 49)
    store.write_details()


def test_erased_details(store):
    """An erased detail is found unless its exhibit was disposed, or it concerns none."""
    erase(store, 0)
    assert check(store).ok
    assert check(store).counts["erased_details"] == 1
    erase(store, 1)
    assert paths(check(store)) == {"log entry 1"}


def test_half_erased_detail(store):
    """A detail marked erased whose bytes are still there is found."""
    raw = store.records[0]
    store.records[0] = b"E" + raw[1:]
    store.write_details()
    assert "details/000000.dtl record 0" in paths(check(store))


def test_detail_of_another_act(tmp_path):
    """A detail must speak of the exhibit and the n of its leaf, and say who acted."""
    for wrong in ({"exhibit": "X-2"}, {"n": 5}, {"actor": None}, {"v": 2}):
        built = Store(tmp_path / str(sorted(wrong)))
        honest = built.detail_record

        def lie(detail, mark=b"D", wrong=wrong, honest=honest):
            return honest(detail | wrong, mark)

        built.detail_record = lie
        built.act("view", "X-1")
        built.write()
        assert any(f.path == "log entry 0" and "a detail with" in f.expected for f in check(built).findings), wrong


def test_a_cut_details_file_and_the_next(store):
    """After a crash the file stays as it is and the next is begun: no finding."""
    record, _ = store.detail_record({"v": 1, "actor": "system"})
    store.records.append(record[:-20])
    store.write_details()
    store.details_key = os.urandom(32)
    store.wrap("details/000001", store.details_key)
    first, store.records = store.records, []
    store.act("view", "X-0000", {"seconds": 1})
    put(store.evidence / "details" / "000001.dtl", b"LAPELDTL1\n" + store.records[0])
    put(store.evidence / "details" / "000002.dtl", b"LAPEL")
    for path in (store.evidence / "log" / "tile").rglob("*.p/*"):
        path.unlink()
    write_log(store.evidence / "log", store.entries, store.key)
    store.write_keys()
    store.write_catalogue()
    report = check(store)
    assert report.ok, report
    assert len(report.notes) == 2
    assert len(first) == 9
