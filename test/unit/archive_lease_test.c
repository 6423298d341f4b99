/* Leases: who holds one in a store with a second one behind it holds it in both; what is in one may be anything. */
#include "walship/archive/lease.h"

#include "scratch.h"
#include "walship/archive/layout.h"
#include "walship/archive/self_sha256.h"
#include "walship/store/file_store.h"
#include "walship/store/second_store.h"

#define SYSTEM_ID UINT64_C(7300000000000000001)
#define ID        "20261120T023007Z-9f3c"

typedef struct Pair
{
	char *scratch;
	char *directories[2];
	Store *stores[2]; /* to look past the pair */
	Store *both;
	bool dead; /* the second cannot be opened */
	int warnings;
} Pair;

static Error *
open_second(void *context, Store **ret_store)
{
	const Pair *pair = context;

	return pair->dead ? error_new(ERR_TRANSIENT, "nobody answers")
	                  : file_store_open(pair->directories[1], ret_store);
}

static void
note_warning(void *context, LogLevel level, const char *message, const char *hint)
{
	Pair *pair = context;

	assert_int_equal(level, LOG_WARNING);
	assert_non_null(strstr(message, "could not write a lease: "));
	assert_non_null(hint);
	pair->warnings++;
}

static int
set_up(void **state)
{
	Pair *pair = NEW(Pair);
	SecondStoreOpener opener = {.open = open_second, .context = pair};
	Notices notices = {note_warning, pair};
	Store *first;

	pair->scratch = scratch_make();
	for (int i = 0; i < 2; i++)
	{
		pair->directories[i] = path_join(pair->scratch, i == 0 ? "first" : "second");
		assert_ok(file_store_create(pair->directories[i]));
		assert_ok(file_store_open(pair->directories[i], &pair->stores[i]));
	}
	assert_ok(file_store_open(pair->directories[0], &first));
	pair->both = second_store_new(first, "file://second", &opener, &notices);
	*state = pair;
	return 0;
}

static int
tear_down(void **state)
{
	Pair *pair = *state;

	store_free(pair->both);
	for (int i = 0; i < 2; i++)
	{
		store_free(pair->stores[i]);
		free(pair->directories[i]);
	}
	scratch_remove(pair->scratch);
	free(pair);
	return 0;
}

static void
assert_leases(Store *store, size_t count, int64_t valid_s)
{
	AUTO_LEASES leases = {0};

	assert_ok(lease_list_read(store, SYSTEM_ID, &leases));
	assert_int_equal(leases.count, count);
	for (size_t i = 0; i < count; i++)
	{
		assert_true(leases.items[i].readable);
		assert_string_equal(leases.items[i].backup, ID);
		assert_int_equal(leases.items[i].valid_s, valid_s);
	}
}

static LeaseHold *
hold_one(Pair *pair)
{
	Notices notices = {note_warning, pair};

	return lease_hold(pair->both, SYSTEM_ID, &(LeaseOn){.kind = "recover", .backup = ID}, &notices);
}

static void
it_is_held_and_ends_in_both_stores(void **state)
{
	Pair *pair = *state;
	LeaseHold *hold = hold_one(pair);

	for (int i = 0; i < 2; i++)
		assert_leases(pair->stores[i], 1, LEASE_VALID_S);
	lease_hold_free(hold);
	for (int i = 0; i < 2; i++)
		assert_leases(pair->stores[i], 0, 0);
	assert_int_equal(pair->warnings, 0);
}

static void
one_that_lingers_does_so_in_both_stores_and_can_be_ended_by_its_id(void **state)
{
	Pair *pair = *state;
	LeaseHold *hold = hold_one(pair);
	AUTO_LEASES leases = {0};

	lease_hold_linger(hold, LEASE_LINGER_S);
	lease_hold_free(hold);
	for (int i = 0; i < 2; i++)
		assert_leases(pair->stores[i], 1, LEASE_LINGER_S);
	assert_ok(lease_list_read(pair->both, SYSTEM_ID, &leases));
	assert_int_equal(leases.count, 1);
	assert_ok(lease_remove(pair->both, SYSTEM_ID, &leases.items[0]));
	for (int i = 0; i < 2; i++)
		assert_leases(pair->stores[i], 0, 0);
}

static void
a_second_store_that_is_dead_is_warned_of(void **state)
{
	Pair *pair = *state;

	pair->dead = true;
	lease_hold_free(hold_one(pair));
	assert_int_equal(pair->warnings, 1);
	assert_leases(pair->stores[0], 0, 0);
}

/* Whoever can write to the store can write any number. */
static void
one_for_longer_than_anybody_lives_has_an_end(void **state)
{
	Pair *pair = *state;
	AUTO_FREE char *key = layout_lease_key(SYSTEM_ID, ID, 1);
	AUTO_BUF(text, 4096);
	AUTO_LEASES leases = {0};
	Slice slice;

	buf_puts(&text, "{\"format\":1,\"id\":\"" ID "\",\"kind\":\"recover\",\"holder\":\"x\",\"backup\":\"" ID
	                "\",\"timeline\":null,\"start_lsn\":null,\"valid_seconds\":9007199254740991}");
	self_sha256_append(&text);
	slice = slice_of_memory(text.data, text.size);
	assert_ok(store_put(pair->both, key, &slice, 1, PUT_IF_ABSENT));
	assert_ok(lease_list_read(pair->both, SYSTEM_ID, &leases));
	assert_int_equal(leases.count, 1);
	assert_true(leases.items[0].readable);
	assert_true(leases.items[0].until > clock_now());
}

#define PAIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR(it_is_held_and_ends_in_both_stores),
		PAIR(one_that_lingers_does_so_in_both_stores_and_can_be_ended_by_its_id),
		PAIR(a_second_store_that_is_dead_is_warned_of),
		PAIR(one_for_longer_than_anybody_lives_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
