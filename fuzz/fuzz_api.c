// SPDX-License-Identifier: MIT
// The input is a sequence of calls of the public interface.
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    model_begin();
    while (input.left != 0)
        model_step(&input);
    model_end();
    return 0;
}
