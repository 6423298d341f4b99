/* Facts of a status: what drills and verifications found, and how fresh dumps and files are. */
#include <stdlib.h>
#include <string.h>

#include "status_steps.h"
#include "walship/archive/layout.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

#define EVIDENCE_MAX (4 * 1024 * 1024)

typedef struct NewestSearch
{
	const char *suffix;
	uint64_t count;
	char *key; /* the last one, in the order of the names, which begin with the time */
	TimeUs modified;
} NewestSearch;

static Error *
keep_newest(void *context, const StoreEntry *entry)
{
	NewestSearch *search = context;

	if (!str_ends_with(entry->key, search->suffix))
		return NULL;
	search->count++;
	free(search->key);
	search->key = mem_strdup(entry->key);
	search->modified = entry->modified;
	return NULL;
}

/* Of another member than these nothing is known here: the commands that write them have more. */
typedef struct Proof
{
	bool passed;
	TimeUs time;
	int64_t rto_ms;
	char *backup;
	char *target;
} Proof;

static const JsonField proof_fields[] = {
	{"passed", &json_bool, JSON_AT(Proof, passed)},
	{"time", &json_time, JSON_AT(Proof, time)},
	{"rto_ms", &json_natural, JSON_AT(Proof, rto_ms), .flags = JSON_OPTIONAL},
	{"backup", &json_string, JSON_AT(Proof, backup), .flags = JSON_MAYBE},
	{"target", &json_string, JSON_AT(Proof, target), .flags = JSON_MAYBE},
};
static const JsonTable proof_table = JSON_TABLE(Proof, proof_fields);

static Error *
read_proof(Store *store, const char *key, Proof *proof)
{
	AUTO_BUF(text, EVIDENCE_MAX);
	AUTO(Sink) sink = buf_sink_new(&text);
	AUTO(Json) root = NULL;

	TRY(store_get(store, key, 0, STORE_TO_END, sink));
	TRY(json_parse(text.data == NULL ? "" : text.data, text.size, key, &root));
	return json_take(root, &proof_table, proof);
}

/* The newest piece of this kind counts, whatever came of it. */
static Error *
read_proofs(StatusFacts *facts, Store *store, const char *suffix, StatusEvidence *evidence)
{
	AUTO_FREE char *prefix = layout_proof_prefix(facts->system_identifier);
	NewestSearch search = {.suffix = suffix};
	Proof proof = {.time = TIME_NONE};
	Error *error = store_list(store, prefix, LIST_LEVEL, NULL, keep_newest, &search);
	AUTO_FREE char *key = search.key;

	evidence->time = TIME_NONE;
	evidence->count = search.count;
	TRY(error);
	if (key == NULL)
		return NULL;
	error = read_proof(store, key, &proof);
	if (error_is(error, ERR_CORRUPT) || error_is(error, ERR_NOT_FOUND))
	{
		evidence->damage = mem_strdup(error_message(error));
		evidence->time = search.modified;
		error_free(MOVE(error));
	}
	else if (error == NULL)
	{
		evidence->time = proof.time;
		evidence->passed = proof.passed;
		evidence->rto_ms = proof.rto_ms;
		if (proof.backup != NULL && proof.target != NULL)
			evidence->description = mem_printf("backup %s, to %s", proof.backup, proof.target);
	}
	free(proof.backup);
	free(proof.target);
	return error;
}

typedef struct RecordSearch
{
	const char *suffix;
	StatusEvidence *evidence;
	char *tree;    /* "<folder>/<NAME>/" of what is being listed; NULL: nothing yet */
	TimeUs newest; /* of its records */
} RecordSearch;

/* The tree whose newest record is the oldest of all tells how fresh they are. */
static void
close_tree(RecordSearch *search)
{
	StatusEvidence *evidence = search->evidence;

	if (search->tree == NULL || (evidence->time != TIME_NONE && evidence->time <= search->newest))
		return;
	evidence->time = search->newest;
	free(evidence->description);
	evidence->description = mem_strdup(search->tree);
}

/* "<system>/files/<NAME>/<ID>/files.json" */
static Error *
add_record(void *context, const StoreEntry *entry)
{
	RecordSearch *search = context;
	size_t length = strlen(entry->key) - strlen(search->suffix);

	if (!str_ends_with(entry->key, search->suffix))
		return NULL;
	while (length > 0 && entry->key[length - 1] != '/')
		length--;
	search->evidence->count++;
	if (search->tree == NULL || strlen(search->tree) != length ||
	    strncmp(search->tree, entry->key, length) != 0)
	{
		close_tree(search);
		free(search->tree);
		search->tree = mem_strndup(entry->key, length);
		search->newest = TIME_NONE;
	}
	if (entry->modified > search->newest)
		search->newest = entry->modified;
	return NULL;
}

/* Of dumps and trees of files.  Their records are written last: what has one is whole. */
static Error *
find_records(StatusFacts *facts, Store *store, const char *folder, const char *record,
             StatusEvidence *evidence)
{
	AUTO_FREE char *system = layout_system_prefix(facts->system_identifier);
	AUTO_FREE char *prefix = mem_printf("%s%s/", system, folder);
	RecordSearch search = {.suffix = record, .evidence = evidence};
	Error *error;

	evidence->time = TIME_NONE;
	evidence->passed = true;
	error = store_list(store, prefix, LIST_ALL, NULL, add_record, &search);
	close_tree(&search);
	free(search.tree);
	if (evidence->description == NULL)
		return error;

	/* "files/etc/" of "<system>/files/etc/" */
	char *short_name = mem_strdup(evidence->description + strlen(system));

	free(evidence->description);
	evidence->description = short_name;
	return error;
}

Error *
status_read_evidence(StatusFacts *facts, Store *store)
{
	TRY(read_proofs(facts, store, "-drill.json", &facts->drill));
	TRY(read_proofs(facts, store, "-verify.json", &facts->verify));
	TRY(find_records(facts, store, "dump", "/dump.json", &facts->dumps));
	return find_records(facts, store, "files", "/files.json", &facts->files);
}
