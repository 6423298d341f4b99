/* The user that runs the server: who is root looks at its things, and has it do them, as that user. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "walship/base/child.h"
#include "walship/base/error.h"

typedef struct InitUser
{
	char *name;
	char *home;
	uid_t uid;
	gid_t gid;
	bool has_own_group; /* of its name: nobody else's first one */
	gid_t *groups;
	int n_groups;
} InitUser;

void init_user_release(InitUser *user);

/* ERR_SYSTEM: the machine knows no such user. */
Error *init_user_of(uid_t uid, InitUser *ret_user) MUST_CHECK;
Error *init_user_named(const char *name, InitUser *ret_user) MUST_CHECK;

/*
 * What follows is done with this user's rights, and connections to the server are its own (peer), until
 * init_user_leave().  Only root can; of another process, which has to be this user's already, nothing changes.  For the whole process.
 */
Error *init_user_enter(const InitUser *user) MUST_CHECK;
Error *init_user_leave(void) MUST_CHECK;

/* For ChildOptions.user: NULL when this process is the user's. */
const ChildUser *init_user_child(const InitUser *user, ChildUser *child);
