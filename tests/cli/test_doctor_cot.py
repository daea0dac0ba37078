"""`lapel doctor` on TAK servers."""

from __future__ import annotations

import contextlib
import socket

from gateway.cli import doctor_cot
from gateway.cli.doctor_words import parts
from gateway.settings import parse


def looked(port: int, **more):
    """The one finding."""
    (found,) = doctor_cot.look(parse({"cot": [{"name": "tak", "host": "127.0.0.1", "port": port, **more}]}))
    return found


@contextlib.contextmanager
def listening():
    """A port that lets in, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        yield own.getsockname()[1]


def test_a_server_that_lets_us_in() -> None:
    """Without TLS it is worth a word."""
    with listening() as port:
        found = looked(port)
    assert (found.about, found.verdict) == ("cot tak", "note")
    assert "in clear" in found.what


def test_a_server_that_is_not_there() -> None:
    """Wrong, with the address and what to do."""
    with listening() as port:
        pass
    found = looked(port)
    assert found.verdict == "wrong"
    assert f"127.0.0.1:{port}" in found.what
    assert found.do is not None


def test_tls_files_that_are_no_good(tmp_path) -> None:
    """Named before anything is tried."""
    (tmp_path / "ca.pem").write_text("x")
    found = looked(1, tls=True, ca=str(tmp_path / "ca.pem"))
    assert found.verdict == "wrong"
    assert "ca, cert or key of tak" in found.what


def test_a_part_that_is_degraded_says_what_to_do() -> None:
    """In the words of a running gateway."""
    (found,) = parts({"cot": "degraded"})
    assert (found.verdict, "TAK server" in found.do) == ("wrong", True)


def test_nothing_is_said_where_nothing_is_configured() -> None:
    """No [[cot]], no finding."""
    assert doctor_cot.look(parse({})) == []
