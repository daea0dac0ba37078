"""Tables of evidence.db (docs/formats.md, "evidence.db"): a projection of log and details."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

exhibit = sa.Table(
    "exhibit",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("device", "recording", "name", "controller", "category", "content_type")),
    sa.Column("size", sa.Integer),
    sa.Column("sha256", sa.Text),
    sa.Column("complete", sa.Boolean),
    *(sa.Column(name, sa.Text) for name in ("blob", "blob_sha256", "key")),
    *(sa.Column(name, sa.Text) for name in ("received_at", "sealed_at", "started_at", "ended_at", "disposed_at")),
    sa.Column("holder", sa.Text),
    sa.Column("flags", sa.JSON, nullable=False),
    *(sa.Column(name, sa.Text) for name in ("rule", "due")),
    sa.Column("held", sa.Boolean, nullable=False),
    *(sa.Column(name, sa.Text) for name in ("supersedes", "superseded_by")),
    sa.Column("container", sa.Text),
    sa.Column("codecs", sa.JSON),
    sa.Column("duration_s", sa.Float),
    *(sa.Column(name, sa.Text) for name in ("media_created_at", "playable", "media_reason", "thumbnail")),
    *(sa.Column(name, sa.Text) for name in ("parent", "exhibit_ref", "incident", "review_due")),
    sa.Column("holds", sa.JSON),
    *(sa.Column(name, sa.Text) for name in ("disposal", "shredded_at")),
    sa.Column("copies", sa.Integer),
    sa.Column("log_index", sa.Integer, nullable=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("prev", sa.Text),
    sa.Index("exhibit_recording", "device", "recording"),
    sa.Index("exhibit_log_index", "log_index"),
    sa.Index("exhibit_sha256", "sha256"),
)

custody = sa.Table(
    "custody",
    metadata,
    sa.Column("log_index", sa.Integer, primary_key=True),
    sa.Column("exhibit", sa.Text),
    sa.Column("n", sa.Integer),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("leaf_sha256", sa.Text, nullable=False),
    sa.Column("hmac", sa.Text, nullable=False),
    sa.Index("custody_chain", "exhibit", "n", unique=True),
)
