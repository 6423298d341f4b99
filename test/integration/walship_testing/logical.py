"""A database with everything that a dump must bring back, under names that hurt, and what tells two of them apart."""

HOSTILE = "käse \"100%\" it's \\ $HOME"  # as a database
TWO_LINES = "two\nlines"  # the same; pg_dump --create refuses it
READER = 'röle "x"%s'


def ident(name):
    return '"' + name.replace('"', '""') + '"'


def tell_logical_story(server):
    """Databases HOSTILE and "empty", roles, rows, sequences, large objects, privileges, comments."""
    for role in (READER, "shop owner"):
        server.sql(f"CREATE ROLE {ident(role)} LOGIN PASSWORD 'Zanzibar-secret'".replace("%", "%%"), None)
    server.sql("CREATE DATABASE empty")
    server.sql(f"CREATE DATABASE {ident(TWO_LINES)}")
    server.sql("CREATE TABLE \"a\nb\" AS SELECT 7 AS seven", database=TWO_LINES)
    server.sql(f"CREATE DATABASE {ident(HOSTILE)} OWNER \"shop owner\"".replace("%", "%%"), None)
    run = lambda text: server.sql(text.replace("%", "%%"), None, database=HOSTILE)  # noqa: E731
    run(f"COMMENT ON DATABASE {ident(HOSTILE)} IS 'Zanzibar\n100%'")
    run(f"ALTER DATABASE {ident(HOSTILE)} SET work_mem = '5MB'")
    run(
        """
        CREATE EXTENSION hstore;
        CREATE SCHEMA "ürs ""s"" x" AUTHORIZATION "shop owner";
        SET ROLE "shop owner";
        CREATE TYPE "ürs ""s"" x".mood AS ENUM ('good', 'bad');
        CREATE TABLE "ürs ""s"" x"."t%a b'le
        x" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, words text NOT NULL, how "ürs ""s"" x".mood,
            CHECK (length(words) > 0));
        CREATE INDEX "i % x" ON "ürs ""s"" x"."t%a b'le
        x" (words);
        RESET ROLE;
        INSERT INTO "ürs ""s"" x"."t%a b'le
        x" (words, how) SELECT 'Zanzibar ' || i || chr(10) || chr(228), 'bad' FROM generate_series(1, 2000) i;
        CREATE TABLE public.pairs (id serial, pair public.hstore);
        INSERT INTO public.pairs (pair) SELECT public.hstore('Zanzibar', i::text) FROM generate_series(1, 100) i;
        CREATE TABLE public.parted (day date NOT NULL, n int) PARTITION BY RANGE (day);
        CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE public.parted_2 PARTITION OF public.parted FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        CREATE INDEX ON public.parted (n);
        INSERT INTO public.parted SELECT '2026-01-01'::date + i % 50, i FROM generate_series(1, 500) i;
        CREATE UNLOGGED TABLE public.fleeting AS SELECT 1 AS one;
        CREATE SEQUENCE public.lonely START 42 INCREMENT 7;
        SELECT nextval('public.lonely');
        CREATE FUNCTION public.twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';
        CREATE VIEW public.seen AS SELECT count(*) FROM public.pairs;
        CREATE MATERIALIZED VIEW public.kept AS SELECT 'Zanzibar' AS word;
        COMMENT ON TABLE public.pairs IS 'Zanzibar % ''';
        SELECT lo_from_bytea(0, convert_to('Zanzibar ' || i, 'UTF8')) FROM generate_series(1, 3) i;
        """
    )
    run(f"GRANT SELECT, UPDATE ON public.pairs TO {ident(READER)}")
    run(f"GRANT CONNECT, TEMPORARY ON DATABASE {ident(HOSTILE)} TO {ident(READER)}")


def fingerprint(server, database):
    """Of everything in it that a restore must bring back."""

    def ask(query):
        return server.sql(query, database=database)

    found = {}
    tables = ask(
        "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'm', "
        "'p') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY 1, 2"
    )
    for schema, table in tables:
        name = f"{ident(schema)}.{ident(table)}"
        found[name] = ask(
            f"SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t"
        )
    for (name,) in ask(
        "SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relkind = 'S' ORDER BY 1"
    ):
        found[f"sequence {name}"] = ask(f"SELECT last_value, is_called FROM {name}")
    found["large objects"] = ask("SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1")
    found["privileges"] = ask(
        "SELECT relname, grantee::regrole::text, privilege_type FROM pg_class, aclexplode(relacl) a WHERE "
        "relnamespace <> 'pg_catalog'::regnamespace AND relnamespace <> 'information_schema'::regnamespace "
        "AND privilege_type <> 'MAINTAIN' ORDER BY 1, 2, 3"
    )
    found["owners"] = ask(
        "SELECT relname, relowner::regrole::text FROM pg_class WHERE oid >= 16384 AND relkind <> 't' AND relname NOT LIKE "
        "'pg\\_toast%' ORDER BY 1, 2"
    )
    found["comments"] = ask("SELECT description FROM pg_description WHERE objoid >= 16384 ORDER BY 1")
    found["extensions"] = ask("SELECT extname FROM pg_extension ORDER BY 1")
    found["indexes"] = ask("SELECT indexdef FROM pg_indexes WHERE schemaname NOT LIKE 'pg\\_%' ORDER BY 1")
    found["encoding"] = ask(
        "SELECT encoding, datcollate, datctype FROM pg_database WHERE datname = current_database()"
    )
    return found


def of_the_database(server, database):
    """What belongs to the database itself, and only to it under its own name."""
    return server.sql(
        "SELECT shobj_description(oid, 'pg_database'), datdba::regrole::text, (SELECT setconfig FROM pg_db_role_setting "
        "WHERE setdatabase = d.oid), has_database_privilege(%s, oid, 'TEMPORARY') FROM pg_database d WHERE datname = %s",
        READER,
        database,
    )
