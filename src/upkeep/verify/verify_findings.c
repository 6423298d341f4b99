/* What a verify found, in words and as JSON. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"
#include "walship/wal/json.h"

static const char *const kinds[N_FINDING_KINDS] = {
	[FINDING_MISSING] = "missing",     [FINDING_TRUNCATED] = "truncated",
	[FINDING_CORRUPT] = "corrupt",     [FINDING_FOREIGN] = "foreign",
	[FINDING_ORPHANED] = "orphaned",   [FINDING_UNREADABLE_KEY] = "unreadable key",
	[FINDING_UNTRUSTED] = "untrusted", [FINDING_GAP] = "gap",
};

static const char *const objects[N_FINDING_OBJECTS] = {
	[FINDING_OF_SEGMENT] = "segment",
	[FINDING_OF_PARTIAL] = "partial",
	[FINDING_OF_HISTORY] = "history",
	[FINDING_OF_RECORD] = "record",
	[FINDING_OF_PART] = "part",
	[FINDING_OF_MANIFEST] = "manifest",
	[FINDING_OF_CONFIG] = "config",
	[FINDING_OF_MAP] = "map",
	[FINDING_OF_BACKUP] = "backup",
	[FINDING_OF_DUMP] = "dump",
	[FINDING_OF_FILES] = "files",
	[FINDING_OF_PIN] = "pin",
	[FINDING_OF_KNOWN_GAP] = "acknowledgement",
	[FINDING_OF_LEASE] = "lease",
	[FINDING_OF_EVIDENCE] = "evidence",
	[FINDING_OF_BACKUP_FILE] = "backup file",
};

const char *
finding_kind_text(FindingKind kind)
{
	return kinds[kind];
}

const char *
finding_object_text(FindingObject object)
{
	return objects[object];
}

/* Where there is a second copy of the store, that mends it: what else can be done is said behind that. */
#define HEAL "walship copy --heal --from STORE brings it back from a second copy of the store. "

static const char *
remedy_of_damage(FindingObject object)
{
	switch (object)
	{
		case FINDING_OF_SEGMENT:
		case FINDING_OF_PARTIAL:
			return HEAL
				"If a server still has the segment in its pg_wal, remove the object and push that file "
				"again. Else take a new backup: no recovery passes it.";
		case FINDING_OF_HISTORY:
			return HEAL
				"If a server has the file in its pg_wal, remove what is in the store and push that file "
				"again: without it no recovery finds the way to this timeline.";
		case FINDING_OF_CONFIG:
		case FINDING_OF_MAP:
			return HEAL "No recovery needs it: else leave it to the next backup.";
		case FINDING_OF_DUMP:
			return HEAL "Else take a new dump: walship dump.";
		case FINDING_OF_FILES:
			return HEAL "Else store the files anew, for later sets build on this one: walship files --full.";
		case FINDING_OF_PIN:
			return "It keeps the backup of its name for ever: remove it, as walship unpin does, and pin that anew.";
		case FINDING_OF_KNOWN_GAP:
			return "It does not count: remove it, and acknowledge the gap anew: walship verify --acknowledge.";
		case FINDING_OF_LEASE:
			return "It ends a day after it was written. Whoever knows that nothing uses the store may remove it.";
		case FINDING_OF_EVIDENCE:
			return "No recovery needs it: the next run leaves its own. It may be removed.";
		case FINDING_OF_BACKUP_FILE:
			return HEAL "No recovery by walship needs it: it may be removed.";
		case FINDING_OF_RECORD:
		case FINDING_OF_PART:
		case FINDING_OF_MANIFEST:
		case FINDING_OF_BACKUP:
			break;
	}
	return HEAL "Else take a new backup: walship backup.";
}

const char *
finding_remedy(FindingKind kind, FindingObject object)
{
	switch (kind)
	{
		case FINDING_MISSING:
			if (object == FINDING_OF_BACKUP)
				return "Take a backup: walship backup.";
			break;
		case FINDING_ORPHANED:
			return object == FINDING_OF_BACKUP
			           ? "If there was a record, walship copy --from STORE brings it back from a second copy of the "
			             "store. Else walship expire removes what is left, a day after the last object came."
			           : "Nothing needs it: it may be removed.";
		case FINDING_UNREADABLE_KEY:
			return "Set identity_file to the key with that fingerprint: without it this is lost.";
		case FINDING_UNTRUSTED:
			return "If it is older than your encryption, set accept_plain = before LSN. If not, somebody else wrote it: "
				   "remove it, and look who may write to the store.";
		case FINDING_GAP:
			return "walship copy --heal --from STORE brings these segments back from a second copy of the store. "
				   "Whoever still has them in pg_wal may push them: walship push. Else take a new backup, for no "
				   "recovery passes the gap, and then --acknowledge it.";
		case FINDING_TRUNCATED:
		case FINDING_CORRUPT:
		case FINDING_FOREIGN:
			break;
	}
	return remedy_of_damage(object);
}

static void
finding_release(Finding *finding)
{
	free(finding->key);
	free(finding->backup);
	free(finding->reason);
}

void
verify_add(Verify *verify, Finding finding)
{
	FindingList *list = &verify->findings;

	list->found++;
	if (list->count == FINDINGS_MAX)
	{
		finding_release(&finding);
		return;
	}
	finding.remedy = finding_remedy(finding.kind, finding.object);
	GROW(list->items, list->count, list->capacity);
	list->items[list->count++] = finding;
}

void
verify_note(Verify *verify, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	AUTO_FREE char *text = mem_vprintf(format, arguments);
	va_end(arguments);
	strlist_add(&verify->notes, text);
}

static int
compare_keys(const void *left, const void *right)
{
	const Finding *a = left;
	const Finding *b = right;
	int order = strcmp(a->key, b->key);

	return order != 0 ? order : (int) a->kind - (int) b->kind;
}

/* What a listing tells of an object comes before what its contents tell: that says the same again. */
void
verify_sort_findings(Verify *verify)
{
	FindingList *list = &verify->findings;
	size_t kept = 0;

	if (list->count > 1)
		qsort(list->items, list->count, sizeof(Finding), compare_keys);
	for (size_t i = 0; i < list->count; i++)
	{
		if (kept > 0 && str_equal(list->items[kept - 1].key, list->items[i].key))
		{
			finding_release(&list->items[i]);
			list->found--;
		}
		else
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
}

/* Of findings of which "drop" says so, nothing is left. */
void
verify_drop_findings(Verify *verify, bool (*drop)(void *context, const Finding *finding), void *context)
{
	FindingList *list = &verify->findings;
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++)
	{
		if (drop(context, &list->items[i]))
		{
			finding_release(&list->items[i]);
			list->found--;
		}
		else
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
}

uint64_t
verify_count(const Verify *verify, FindingKind kind)
{
	uint64_t count = 0;

	for (size_t i = 0; i < verify->findings.count; i++)
		count += verify->findings.items[i].kind == kind && !verify->findings.items[i].acknowledged;
	return count;
}

bool
verify_passed(const Verify *verify)
{
	return verify->findings.found == 0;
}

void
verify_release(Verify *verify)
{
	for (size_t i = 0; i < verify->findings.count; i++)
		finding_release(&verify->findings.items[i]);
	free(verify->findings.items);
	strlist_release(&verify->notes);
	window_list_release(&verify->windows);
	catalog_free(verify->catalog);
	free(verify->kept);
	free(verify->resumed_after);
	*verify = (Verify){0};
}

static const JsonField finding_fields[] = {
	{"kind", &json_enum, JSON_AT(Finding, kind), .names = kinds, .n_names = N_FINDING_KINDS},
	{"object", &json_enum, JSON_AT(Finding, object), .names = objects, .n_names = N_FINDING_OBJECTS},
	{"key", &json_string, JSON_AT(Finding, key)},
	{"backup", &json_string, JSON_AT(Finding, backup), .flags = JSON_OPTIONAL},
	{"timeline", &json_uint, JSON_AT(Finding, wal.timeline), .flags = JSON_OPTIONAL},
	{"reason", &json_string, JSON_AT(Finding, reason)},
};
static const JsonTable finding_table = JSON_TABLE(Finding, finding_fields);

static const JsonField window_fields[] = {
	{"from_lsn", &json_lsn, JSON_AT(RecoveryWindow, from_lsn)},
	{"from_time", &json_time, JSON_AT(RecoveryWindow, from_time)},
	{"to_lsn", &json_lsn, JSON_AT(RecoveryWindow, to_lsn)},
	{"to_time", &json_time, JSON_AT(RecoveryWindow, to_time)},
};
static const JsonTable window_table = JSON_TABLE(RecoveryWindow, window_fields);

static const JsonField count_fields[] = {
	{"backups", &json_uint, JSON_AT(VerifyCounts, backups)},
	{"dumps", &json_uint, JSON_AT(VerifyCounts, dumps)},
	{"file_sets", &json_uint, JSON_AT(VerifyCounts, file_sets)},
	{"objects", &json_uint, JSON_AT(VerifyCounts, objects)},
	{"segments", &json_uint, JSON_AT(VerifyCounts, segments)},
	{"histories", &json_uint, JSON_AT(VerifyCounts, histories)},
	{"stored_size", &json_uint, JSON_AT(VerifyCounts, stored_size)},
};
static const JsonTable count_table = JSON_TABLE(VerifyCounts, count_fields);

static const JsonField read_fields[] = {
	{"objects", &json_uint, JSON_AT(VerifyReads, objects)},
	{"segments", &json_uint, JSON_AT(VerifyReads, segments)},
	{"stored_size", &json_uint, JSON_AT(VerifyReads, stored_size)},
	{"locked", &json_uint, JSON_AT(VerifyReads, locked)},
};
static const JsonTable read_table = JSON_TABLE(VerifyReads, read_fields);

static void
put_finding(const Verify *verify, const Finding *finding, Json *into)
{
	const WalRange *wal = &finding->wal;
	char name[WAL_NAME_SIZE];

	json_put(into, &finding_table, finding);
	if (finding->object == FINDING_OF_SEGMENT)
	{
		uint32_t size = verify->catalog->segment_size;

		json_add_string(into, "first", wal_segment_name(wal->timeline, wal->first, size, name));
		json_add_string(into, "last", wal_segment_name(wal->timeline, wal->last, size, name));
		json_add_int(into, "segments", (int64_t) (wal->last - wal->first + 1));
	}
	json_add_string(into, "remedy", finding->remedy);
	if (finding->acknowledged)
		json_add_bool(into, "acknowledged", true);
}

void
verify_put(const Verify *verify, Json *into)
{
	Json *findings;
	Json *timelines;

	json_put(json_add_object(into, "looked_at"), &count_table, &verify->counts);
	if (verify->deep)
		json_put(json_add_object(into, "read"), &read_table, &verify->reads);
	json_add_int(into, "found", (int64_t) verify->findings.found);
	findings = json_add_array(into, "findings");
	for (size_t i = 0; i < verify->findings.count; i++)
		put_finding(verify, &verify->findings.items[i], json_add_object(findings, NULL));
	timelines = json_add_array(into, "timelines");
	for (size_t i = 0; i < verify->windows.n_timelines; i++)
	{
		const TimelineWindows *windows = &verify->windows.timelines[i];
		Json *item = json_add_object(timelines, NULL);
		Json *array;

		json_add_int(item, "timeline", windows->timeline);
		array = json_add_array(item, "windows");
		for (size_t j = 0; j < windows->n_windows; j++)
		{
			Json *window = json_add_object(array, NULL);

			json_add_string(window, "backup", windows->windows[j].backup->id);
			json_put(window, &window_table, &windows->windows[j]);
		}
	}
	json_put_list(into, "notes", &json_strings, verify->notes.items, verify->notes.count);
}
