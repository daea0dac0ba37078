"""The only importer of SQLAlchemy: repositories behind the rooms' ports."""
