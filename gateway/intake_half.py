"""Intake put together: the journal, the quarantine and what cameras tell, each with a group commit of its own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from gateway.backup.journal_keys import BackedUpKeys
from gateway.crypto.journal_keys import JournalKeys
from gateway.crypto.keys import KeyStore
from gateway.pipeline.group_commit import GroupCommit
from gateway.pipeline.intake import FrameIntake
from gateway.pipeline.journal import Journal
from gateway.pipeline.route import Router
from gateway.settings import Settings
from gateway.store.cameras import CameraStore
from gateway.store.keyring import Keyring
from gateway.store.quarantine import QuarantineStore

DRAIN_S = 5.0


async def intake_half(
    stack: contextlib.AsyncExitStack, settings: Settings, keystore: KeyStore, router: Router, cameras: CameraStore
) -> tuple[FrameIntake, GroupCommit[Any], tuple[Journal, JournalKeys]]:
    """Open what keeps frames; close it in reverse, once what waits is written or the time is up."""
    folder, backlog = settings.data / "journal", settings.store.journal_backlog_mb << 20
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keyring = Keyring(folder / "keys.db", keystore)
    keyring.open()
    stack.callback(keyring.close)
    keys = BackedUpKeys(keyring, folder.parent)
    written = Journal(folder, keys)
    unread = QuarantineStore(folder / "quarantine.db", keystore.wrap, keystore.unwrap)
    stack.callback(unread.close)
    stack.callback(written.close)
    journal: GroupCommit[Any] = GroupCommit("journal", written.write, backlog_bytes=backlog)
    quarantine: GroupCommit[Any] = GroupCommit("quarantine", unread.write, backlog_bytes=backlog)
    told: GroupCommit[Any] = GroupCommit("cameras", cameras.write, backlog_bytes=backlog)
    for commit in (journal, quarantine, told):
        stack.callback(commit.close)
        stack.push_async_callback(commit.drain, DRAIN_S)
    group = await stack.enter_async_context(asyncio.TaskGroup())
    tasks = [group.create_task(commit.run()) for commit in (journal, quarantine, told)]
    stack.callback(lambda: [task.cancel() for task in tasks])
    return FrameIntake(router, journal, quarantine, told), journal, (written, keys)
