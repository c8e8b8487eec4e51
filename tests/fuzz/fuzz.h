/**
 * @file fuzz.h  What a fuzz target is: one function over bytes
 *
 * Declared here because libFuzzer has no header for it.  A target must not
 * keep anything between two inputs; it returns 0.
 */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
