"""The command `lapel`: one verb a file, loaded when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version

import click

from gateway.errors import ConfigError, GatewayError, IntegrityError, VerificationError
from gateway.settings import closest

VERBS = {
    "run": "gateway.cli.run:run",
    "demo": "gateway.cli.demo:demo",
    "init": "gateway.cli.init:init",
    "check": "gateway.cli.check:check",
    "decode": "gateway.cli.decode:decode",
    "encode": "gateway.cli.decode:encode",
    "roster": "gateway.cli.roster:roster",
    "unit": "gateway.cli.unit:unit",
    "book": "gateway.cli.book:book",
    "crew": "gateway.cli.crew:crew",
    "device": "gateway.cli.device:device",
    "broker": "gateway.cli.broker:broker",
    "response-times": "gateway.cli.response_times:response_times",
    "verify-export": "gateway.cli.verify_export:verify_export",
    "trust": "gateway.cli.trust:trust",
    "history": "gateway.cli.history:history",
    "tracks": "gateway.cli.tracks:tracks",
    "replay": "gateway.cli.replay:replay",
    "asked": "gateway.cli.asked:asked",
    "fault-record": "gateway.cli.fault_record:fault_record",
    "evidence": "gateway.cli.evidence:evidence",
    "retention": "gateway.cli.retention:retention",
    "dock": "gateway.cli.dock:dock",
    "log": "gateway.cli.log:log",
    "keys": "gateway.cli.keys:keys",
    "user": "gateway.cli.user:user",
    "token": "gateway.cli.token:token",
    "quarantine": "gateway.cli.quarantine:quarantine",
    "backup": "gateway.cli.backup:backup",
    "restore": "gateway.cli.restore:restore_command",
    "fleet": "gateway.cli.fleet:fleet",
    "doctor": "gateway.cli.doctor:doctor",
}
DONE, FAILED, USAGE, INTEGRITY = 0, 1, 2, 3


class Verbs(click.Group):
    """Loads a verb's module only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one verb."""
        if cmd_name not in VERBS:
            ctx.fail(f"no such command {cmd_name!r}{closest(cmd_name, list(VERBS))}")
        module, name = VERBS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("lapel"), prog_name="lapel")
def lapel() -> None:
    """Gateway between officers' devices, the evidence store and the position feed."""


def _said(wrong: GatewayError | OSError) -> str:
    """What went wrong; of the system's own errors the file and the reason."""
    if isinstance(wrong, OSError) and wrong.filename is not None and wrong.strerror:
        return f"{wrong.filename}: {wrong.strerror}"
    return str(wrong)


def main() -> None:
    """Run the command line; exit 0 done, 1 failed, 2 config or usage, 3 integrity failure."""
    try:
        lapel(standalone_mode=False)
    except click.exceptions.Exit as left:
        sys.exit(left.exit_code)
    except click.Abort:
        sys.exit(FAILED)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except ConfigError as wrong:
        click.echo(str(wrong), err=True)
        sys.exit(USAGE)
    except (IntegrityError, VerificationError) as wrong:
        click.echo(str(wrong), err=True)
        sys.exit(INTEGRITY)
    except (GatewayError, OSError) as wrong:
        click.echo(_said(wrong), err=True)
        sys.exit(FAILED)
