/**
 * @file fuzz_digest.c  sipauth: a challenge or credentials from anywhere
 */
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipauth/sipauth.h"
#include "sipauth/internal.h"
#include "fuzz.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl val = {(const char *)data, size};
	struct sipauth_digest dg;

	if (!sipauth_digest_decode(&dg, &val))
		(void)sipauth_nonce_use(&dg.nonce, pl_x32(&dg.nc), 1, 1);

	return 0;
}
