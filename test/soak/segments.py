"""Push and fetch of one segment of an OLTP load, measured on every kind of store."""
from measure import measure, median, row
from walship_testing.proc import wait_until
from walship_testing.store import DirectoryStore, create_store
from walship_testing.wal import segment_name, parse_segment_name
from walship_testing.walship import Walship

N_REPEATS = 7
KINDS = ("directory", "S3 over HTTP", "S3 over TLS")


def oltp_segment(servers):
    """A stopped server, and the name of a segment in its pg_wal that pgbench has filled."""
    server = servers.new(name="oltp", wal_keep_size="2GB", max_wal_size="4GB", shared_buffers="128MB")
    server.start()
    server.pgbench_init(10)
    server.sql("CHECKPOINT")
    timeline, first = parse_segment_name(server.switch_wal())
    wanted = first + 3  # with the full pages that follow a checkpoint, but not only those

    def is_full():
        return parse_segment_name(server.current_insert_segment())[1] > wanted

    with server.pgbench_running(4):
        wait_until(is_full, "pgbench has filled the segment", timeout=240, interval=0.2)
    server.stop()
    return server, segment_name(timeline, wanted)


def stores(s3, directory):
    """(kind, store for looking into it, settings for walship without a proxy between)."""
    local = DirectoryStore(directory / "store")
    create_store(local, directory)
    yield KINDS[0], local, local.settings
    remote = s3.new_store(directory / "copies")
    yield KINDS[1], remote, {**remote.settings, "s3_endpoint": s3.endpoint}
    secure = {"s3_endpoint": s3.tls_endpoint, "s3_ca_file": s3.ca_file}
    yield KINDS[2], remote, {**remote.settings, **secure}


def measure_segments(s3, server, name, directory):
    """Rows of the table."""
    key = f"{server.system_identifier()}/wal/{name[:8]}/{name}.tar"
    rows = []
    for kind, store, settings in stores(s3, directory):
        walship = Walship(directory / kind.replace(" ", "-"), settings)
        walship.ok("check", "--create", "--store-only") if kind == KINDS[0] else walship.fails(None, "check", "--store-only")
        pushes, fetches = [], []
        for _ in range(N_REPEATS):
            if store.exists(key):
                store.remove(key)
            pushes.append(measure(directory, walship.command("push", f"pg_wal/{name}"), cwd=server.pgdata))
            target = server.pgdata / "pg_wal/RECOVERYXLOG"
            fetches.append(measure(directory, walship.command("fetch", name, "pg_wal/RECOVERYXLOG"), cwd=server.pgdata))
            assert target.read_bytes() == (server.pgdata / "pg_wal" / name).read_bytes()
            target.unlink()
        stored = len(store.read(key))
        rows.append(row(f"push, {kind}", median(pushes), stored))
        rows.append(row(f"fetch, {kind}", median(fetches)))
    return rows
