// SPDX-License-Identifier: MIT
// A model of what a program may expect of tarn: which blocks live, what they hold, and what each call may do.
// Not synchronised: the threads of a target take turns.

#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "fuzz.h"

void model_begin(void);
// Decodes one call from the input, makes it, and looks at everything that it promises.
void model_step(struct input *input);
// Frees all blocks; nothing may be left of them.
void model_end(void);

#endif
