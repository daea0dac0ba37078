"""Configuration: closed, and every fault named by file and key."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import settings as configuration
from gateway.errors import ConfigError
from gateway.evidence.shares import Limits

EXAMPLE = Path(__file__).parent.parent / "config" / "lapel.toml"


def written(folder: Path, text: str) -> Path:
    """A file with this text."""
    path = folder / "lapel.toml"
    path.write_text(text, "utf-8")
    return path


def fault(folder: Path, text: str) -> str:
    """What is said of this text."""
    with pytest.raises(ConfigError) as said:
        configuration.load(written(folder, text))
    return str(said.value)


def test_the_commented_example_is_good_and_says_the_defaults() -> None:
    """Every key shown is the default, so the example cannot go stale."""
    from_file = configuration.load(EXAMPLE)
    defaults = configuration.Settings()
    for section in (
        "devices",
        "dispatch",
        "timestamp",
        "broker",
        "store",
        "evidence",
        "retention",
        "log",
        "feed",
        "api",
        "auth",
        "observe",
        "roster",
        "media",
    ):
        assert getattr(from_file, section) == getattr(defaults, section), section
    assert [driver.kind for driver in from_file.driver] == ["beacon", "camera"]


def keys_shown() -> dict[str, set[str]]:
    """By section, every key that the example names, set or commented out, in the lines where it would stand."""
    section, found = "", dict[str, set[str]]()
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if begun := re.match(r"(?:# )?\[\[?([a-z_.]+)\]\]?", line):
            section = begun[1]
        found.setdefault(section, set()).update(re.findall(r"^(?:# )?([a-z_]+) = ", line))
    return found


def test_the_commented_example_names_every_key() -> None:
    """A key that nobody can read of is a key that nobody sets."""
    shown = keys_shown()
    for field in msgspec.structs.fields(configuration.Settings):
        if field.name in shown and field.name != "driver":
            # One table each (`[[cot]]`) has the keys of its element.
            (kind,) = get_args(field.type) or (field.type,)
            wanted = {key.encode_name for key in msgspec.structs.fields(kind)}
            tables = {each.partition(".")[2] for each in shown if each.startswith(f"{field.name}.")}
            assert wanted - shown[field.name] - tables == set(), field.name


def test_an_empty_file_is_a_gateway_on_defaults(tmp_path: Path) -> None:
    """Nothing is required."""
    settings = configuration.load(written(tmp_path, ""))
    assert settings.api.host == "127.0.0.1"
    assert settings.keys == settings.data / "keys"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[brokr]\n", "brokr: unknown section (did you mean 'broker'?)"),
        ("[broker]\nprot = 1\n", "broker.prot: unknown key (did you mean 'port'?)"),
        ("[api]\nport = 'eighty'\n", "api.port: Expected `int`, got `str`"),
        ("[api]\nport = 70000\n", "api.port: Expected `int` <= 65535"),
        ("[media]\nsecond = 1\n", "media.second: unknown key (did you mean 'seconds'?)"),
        ("[media]\nseconds = 0.5\n", "media.seconds: Expected `float` >= 1"),
        ("[media]\nmemory_mb = 64\n", "media.memory_mb: Expected `int` >= 256"),
        ("[media]\nffprobe = 'tools/ffprobe'\n", "media.ffprobe: Expected `str` matching regex"),
        ("[media]\nffmpeg = ''\n", "media.ffmpeg: Expected `str` of length >= 1"),
        ("api = 3\n", "api: is a section: write [api]"),
        ("[driver]\nkind = 'beacon'\n", "driver: write [[driver]], one table a driver"),
        ("[[driver]]\nname = 'x'\n", "driver[0].kind: is required"),
        ("[[driver]]\nkind = 'beacon'\nname = 'a b'\n", "driver[0].name: 'a b' is not a name"),
        (
            "[[driver]]\nkind = 'beacon'\nname = 'x'\n[[driver]]\nkind = 'camera'\nname = 'x'\n",
            "driver[1].name: 'x' stands twice",
        ),
        ("[broker]\ncert = 'a.crt'\n", "broker.key: cert and key go together"),
        ("[broker]\npassword_file = 'a'\npassword_env = 'B'\n", "broker.password_env: give password_file or"),
        ("[broker]\npassword_env = 'LAPEL_NO_SUCH_NAME'\n", "broker.password_env: LAPEL_NO_SUCH_NAME is not set"),
        ("[roster]\nfile = 'nowhere.toml'\n", "roster.file: "),
        ("[observe]\nlevel = 'loud'\n", "observe.level: Invalid enum value 'loud'"),
        ("[feed]\ntick = 1\n", "feed.tick: unknown key (did you mean 'tick_ms'?)"),
        ("[log]\norigin = 'a b'\n", "log.origin: "),
        ("[api\n", "is not TOML: "),
    ],
)
def test_every_fault_names_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    """`FILE: key: what is wrong`."""
    message = fault(tmp_path, text)
    assert message.startswith(f"{tmp_path / 'lapel.toml'}: ")
    assert said in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The file and the system's reason."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        configuration.load(tmp_path / "nowhere.toml")


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Wherever the command is run from."""
    (tmp_path / "roster.toml").write_text("v = 1\n")
    (tmp_path / "secret").write_text("hush\n")
    text = "[gateway]\ndata = 'd'\n[roster]\nfile = 'roster.toml'\n[broker]\npassword_file = 'secret'\n"
    settings = configuration.load(written(tmp_path, text))
    assert settings.data == tmp_path / "d"
    assert settings.roster.file == str(tmp_path / "roster.toml")
    assert configuration.password(settings.broker) == "hush"


def test_a_password_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Secrets stand in no config."""
    monkeypatch.setenv("LAPEL_TEST_SECRET", "hush")
    settings = configuration.load(written(tmp_path, "[broker]\npassword_env = 'LAPEL_TEST_SECRET'\n"))
    assert configuration.password(settings.broker) == "hush"


def test_a_drivers_own_keys_are_left_to_the_driver(tmp_path: Path) -> None:
    """The gateway knows kind and name; the rest is the driver's."""
    settings = configuration.load(written(tmp_path, "[[driver]]\nkind = 'tetra'\nport = '/dev/x'\nbaud = 9600\n"))
    (driver,) = settings.driver
    assert (driver.kind, driver.name, driver.rest) == ("tetra", "tetra-1", {"port": "/dev/x", "baud": 9600})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SECTIONS = st.sampled_from(
    ["gateway", "broker", "driver", "store", "evidence", "feed", "api", "log", "auth", "nonsense"]
)


@given(st.dictionaries(SECTIONS, JSON, max_size=3))
def test_any_document_is_settings_or_a_config_error(raw: dict) -> None:
    """Nothing else is ever raised."""
    with contextlib.suppress(ConfigError):
        assert isinstance(configuration.parse(raw), configuration.Settings)


def test_closest_word_is_offered_only_when_near() -> None:
    """A far word offers nothing."""
    assert configuration.closest("prot", ["port", "host"]) == " (did you mean 'port'?)"
    assert configuration.closest("zzz", ["port", "host"]) == ""


@pytest.mark.parametrize(
    ("store", "key"),
    [
        ({"camera_mb_s": 5, "total_mb_s": 4}, "store.camera_mb_s"),
        ({"camera_staging_mb": 5, "staging_mb": 4}, "store.camera_staging_mb"),
        ({"camera_uploads": -1}, "store.camera_uploads"),
        ({"total_mb_s": 1.5}, "store.total_mb_s"),
    ],
)
def test_limits_that_contradict_each_other(store, key):
    """One camera's part is no more than the whole; 0 is no limit, and nothing is below it."""
    with pytest.raises(ConfigError) as wrong:
        configuration.parse({"store": store})
    assert wrong.value.key == key


def test_every_limit_of_the_store_is_a_key():
    """What shares footage out is set by [store], key by key; without any, nothing is limited but open uploads."""
    assert configuration.parse({"store": {"camera_mb_s": 5}}).store.camera_mb_s == 5
    store = configuration.parse({}).store
    assert {name: getattr(store, name) for name in Limits.__struct_fields__} == {
        name: getattr(Limits(), name) for name in Limits.__struct_fields__
    }


def test_copies_need_places(tmp_path: Path) -> None:
    """Enough of them, each once, relative to the file; at most four copies."""
    assert "store.copy_to: 2 copies need 1" in fault(tmp_path, "[store]\ncopies = 2\n")
    assert "names one place twice" in fault(tmp_path, '[store]\ncopies = 2\ncopy_to = ["a", "a"]\n')
    assert "store.copies" in fault(tmp_path, "[store]\ncopies = 5\n")
    assert "at most 3" in fault(tmp_path, '[store]\ncopy_to = ["a", "b", "c", "d"]\n')
    settings = configuration.load(written(tmp_path, '[store]\ncopies = 2\ncopy_to = ["b", "/a"]\n'))
    assert settings.store.copy_to == [str(tmp_path / "b"), "/a"]
