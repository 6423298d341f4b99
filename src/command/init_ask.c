/* What only somebody at the terminal knows: the store, and its credentials. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "init_machine.h"
#include "walship/base/cancel.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define ANSWER_SIZE 4096

/* A line of standard input without its end; false at its end, or when a signal ended the waiting. */
static bool
read_answer(const char *question, char answer[ANSWER_SIZE])
{
	size_t size = 0;
	char c;

	(void) fflush(stdout);
	(void) fputs(question, stderr);
	(void) fflush(stderr);
	for (;;)
	{
		AUTO(Error) error = cancel_poll(STDIN_FILENO, POLLIN, -1);

		if (error != NULL || read(STDIN_FILENO, &c, 1) != 1)
			return false;
		if (c == '\n')
			break;
		if (size + 1 < ANSWER_SIZE)
			answer[size++] = c;
	}
	answer[size] = '\0';
	return true;
}

/* Without showing it; the terminal is as it was whatever happens. */
static bool
read_secret(const char *question, char answer[ANSWER_SIZE])
{
	struct termios before;
	struct termios quiet;
	bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;

	if (is_terminal)
	{
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t) ECHO;
		(void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}

	bool read = read_answer(question, answer);

	if (is_terminal)
		(void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	(void) fputs("\n", stderr);
	return read;
}

static Error *
no_answer(void)
{
	Error *error = cancel_check();

	return error != NULL ? error : error_new(ERR_USAGE, "nobody answered");
}

Error *
init_ask(InitMachine *machine)
{
	char answer[ANSWER_SIZE] = "";

	if (init_lacks_store(machine))
	{
		if (!read_answer("Where are WAL and backups to go (s3://BUCKET/PREFIX or file:///DIRECTORY)? ",
		                 answer))
			return no_answer();
		if (answer[0] != '\0')
			machine->store = mem_strdup(answer);
	}
	if (!init_lacks_credentials(machine))
		return NULL;
	if (settings_text(machine->given, SETTING_s3_access_key_id) == NULL)
	{
		if (!read_answer("Access key id: ", answer))
			return no_answer();
		free(machine->access_key_id);
		machine->access_key_id = mem_strdup(answer);
	}
	secret_forbid_core_files();
	if (!read_secret("Secret access key (is not shown): ", answer))
		return no_answer();
	machine->secret = answer[0] == '\0' ? NULL : mem_strdup(answer);
	secret_clear(answer, sizeof(answer));
	return NULL;
}

bool
init_ask_restart(const char *command)
{
	char answer[ANSWER_SIZE] = "";
	AUTO_FREE char *question = mem_printf(
		"archive_mode needs a restart of the server (%s).\nRestart it when all is set up? [y/N] ", command);

	return read_answer(question, answer) && (answer[0] == 'y' || answer[0] == 'Y');
}
