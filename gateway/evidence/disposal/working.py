"""What was made of an exhibit for somebody to fetch, or is being made: it goes with the exhibit, at once. Blocks."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import StoreBusyError
from gateway.evidence.derived.deriver import FOLDER as DERIVATIVES
from gateway.evidence.derived.wish import DeriveJob
from gateway.evidence.export.exporter import result_of
from gateway.evidence.export.jobs import FOLDER as EXPORTS
from gateway.evidence.export.jobs import ExportJob, gone
from gateway.evidence.export.stage import Stage
from gateway.evidence.job_files import JobFiles
from gateway.evidence.vault.files import Files

UNFINISHED = ("waiting", "making")


class Working:
    """Exports in clear that wait to be fetched, and the jobs that say for what purpose something was made."""

    def __init__(self, evidence: Path, files: Files) -> None:
        """Name the evidence directory; nothing is read yet."""
        self._evidence, self._files = evidence, files
        self._exports: JobFiles[ExportJob] = JobFiles(evidence / EXPORTS, ExportJob, files)
        self._derivatives: JobFiles[DeriveJob] = JobFiles(evidence / DERIVATIVES, DeriveJob, files)

    def let_go(self, exhibit: str, *, erase: bool) -> None:
        """Remove what holds the exhibit; with erase, also who wanted it and why. StoreBusyError while it is made."""
        for job in self._derivatives.all():
            if exhibit in (job.exhibit, job.wish.master):
                self._derivative(job, erase=erase)
        for export in self._exports.all():
            if exhibit in export.order.exhibits:
                self._export(export, exhibit, erase=erase)

    def _derivative(self, job: DeriveJob, *, erase: bool) -> None:
        """Who makes it finds that the master is gone, and takes back what there is of it."""
        if job.state in UNFINISHED:
            raise StoreBusyError(f"{job.exhibit} is still being made of {job.wish.master}: the gateway ends that")
        if erase:
            self._derivatives.remove(job.exhibit)

    def _export(self, job: ExportJob, exhibit: str, *, erase: bool) -> None:
        target = self._evidence / EXPORTS / job.export
        stage = Stage(result_of(job.order, target), self._files)
        if job.state != "removed" or stage.target.exists() or stage.folder.exists():
            with stage.taking_turns():
                self._files.remove_tree(stage.target)
                stage.clear()
            self._files.sync_directory(self._exports.folder)
        if erase:
            self._exports.remove(job.export)
        elif job.state in ("done", *UNFINISHED):
            self._exports.keep(job.export, gone(job, f"{exhibit} was disposed of"))
