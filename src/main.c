/* walship: ships PostgreSQL's WAL and base backups to object storage and back. */
#include "command.h"

int
main(int argc, char **argv)
{
	return command_main(argc, argv);
}
