"""What the integration tests share: processes, stores, WAL files and PostgreSQL servers."""
