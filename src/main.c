/**
 * @file main.c  The program: argv -> verb
 */
#include <re.h>


int main(void)
{
	int err;

	err = libre_init();
	if (err)
		return 1;

	(void)re_printf("voipstack %s (libre %s)\n", VOIPSTACK_VERSION,
			sys_libre_version_get());

	libre_close();

	return 0;
}
